"""A peer whose machine is gone: it acknowledges nothing, refuses nothing and says nothing."""

import ctypes
import socket

_SO_ATTACH_FILTER = 26
_RETURN_NOTHING = 0x06


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


def fall_silent(plain: socket.socket) -> None:
    """Have Linux drop whatever arrives for this socket before TCP sees it, so that the other side hears nothing."""
    instruction = _Instruction(_RETURN_NOTHING, 0, 0, 0)
    program = _Program(1, ctypes.pointer(instruction))
    plain.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(program))
