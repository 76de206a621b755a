"""Frames of a WebSocket that are not as RFC 6455 has them: the close code that it names, and nothing else happens."""

import asyncio
import json
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest

from tests.live.serving import RawConnection, Service, connection, request
from tests.waiting import PATIENCE_S

HANDSHAKE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MIB = 1024 * 1024
NO_CHANGE = bytes(4)
"""A mask that leaves the payload as it is."""


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True, length: int | None = None
) -> bytes:
    """Write a frame as a client does, or does not; ``length`` is what its head says."""
    size = len(payload) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    if size < 126:
        head += bytes([masked << 7 | size])
    elif size < 65_536:
        head += bytes([masked << 7 | 126]) + struct.pack("!H", size)
    else:
        head += bytes([masked << 7 | 127]) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    return head + NO_CHANGE + payload


class RawSocket:
    """A WebSocket whose frames are written by hand."""

    def __init__(self, raw: RawConnection) -> None:
        self.raw = raw

    async def send(self, *frames: bytes) -> None:
        """Send bytes."""
        await self.raw.send(b"".join(frames))

    async def frame(self) -> tuple[int, bytes]:
        """Read a frame; return its opcode and its payload."""
        first, size = await self.raw.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", await self.raw.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.raw.reader.readexactly(8))
        return first & 15, await self.raw.reader.readexactly(size)

    async def close_code(self) -> int:
        """Read up to the close and to the end of the connection; return the code."""
        while (found := await self.frame())[0] != CLOSE:
            pass
        assert await self.raw.reader.read() == b""
        return int.from_bytes(found[1][:2], "big")

    async def works(self) -> bool:
        """Return whether a request is still answered."""
        await self.send(frame(TEXT, b'{"jsonrpc":"2.0","id":"still","method":"x"}'))
        while (found := await self.frame())[0] != TEXT or json.loads(found[1])["id"] != "still":
            pass
        return True


@asynccontextmanager
async def raw_socket(service: Service, **headers: str) -> AsyncIterator[RawSocket]:
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send(request("GET", "/ws", None, **HANDSHAKE, **headers))
        assert (await raw.head())[0] == 101
        yield RawSocket(raw)


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


FAULTS = {
    "not masked": (1002, [frame(TEXT, b"{}", masked=False)]),
    "rsv1": (1002, [frame(TEXT, b"{}", rsv=4)]),
    "rsv2": (1002, [frame(TEXT, b"{}", rsv=2)]),
    "rsv3 of a ping": (1002, [frame(PING, rsv=1)]),
    "opcode 3": (1002, [frame(3)]),
    "opcode 11": (1002, [frame(11)]),
    "ping in fragments": (1002, [frame(PING, fin=False)]),
    "ping of 126 bytes": (1002, [frame(PING, b"x" * 126)]),
    "continuation of nothing": (1002, [frame(CONT, b"{}")]),
    "text within a text": (1002, [frame(TEXT, b"{", fin=False), frame(TEXT, b"}")]),
    "close within a text": (1002, [frame(TEXT, b"{", fin=False), close(1000)]),
    "close of one byte": (1002, [frame(CLOSE, b"\x03")]),
    **{f"close {code}": (1002, [close(code)]) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535)},
    "close whose reason is no text": (1007, [close(1000, b"\xff")]),
    "no UTF-8": (1007, [frame(TEXT, b'"\xc3\x28"')]),
    "a surrogate": (1007, [frame(TEXT, b'"\xed\xa0\x80"')]),
    "beyond Unicode, in the middle of a message": (1007, [frame(TEXT, b"\xf4", fin=False), frame(CONT, b"\x90")]),
    "a character that ends the message before its end": (1007, [frame(TEXT, b"\xce", fin=False), frame(CONT)]),
    "2^63 bytes": (1009, [frame(TEXT, length=2**63)]),
    "one byte too many": (1009, [frame(TEXT, length=MIB + 1)]),
    "one byte too many, in fragments": (
        1009, [frame(BINARY, b"x" * MIB, fin=False), frame(CONT, b"x")],
    ),
}  # fmt: skip


@pytest.mark.bad_input(81)
async def test_a_fault_of_the_protocol_closes_with_its_code(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    for name, (code, frames) in FAULTS.items():
        async with raw_socket(service) as ws:
            await ws.send(*frames)

            assert await ws.close_code() == code, name
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_a_close_is_answered_with_its_own_code(service: Service) -> None:
    for code in (1000, 1001, 1003, 1011, 3000, 4999):
        async with raw_socket(service) as ws:
            await ws.send(close(code, "Grüße".encode()))

            assert await ws.close_code() == code


async def test_a_close_without_a_code_is_answered_likewise(service: Service) -> None:
    async with raw_socket(service) as ws:
        await ws.send(frame(CLOSE))

        assert await ws.frame() == (CLOSE, b"")


@pytest.mark.bad_input(81)
async def test_what_is_too_large_when_inflated_closes_with_its_code(service: Service) -> None:
    packer = zlib.compressobj(wbits=-12)
    bomb = packer.compress(b" " * (MIB + 1)) + packer.flush(zlib.Z_SYNC_FLUSH)
    async with raw_socket(service, Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits=12") as ws:
        await ws.send(frame(TEXT, bomb[:-4], rsv=4))

        assert len(bomb) < 10_000
        assert await ws.close_code() == 1009


async def test_a_message_of_the_largest_size_is_read(service: Service) -> None:
    text = b'{"jsonrpc":"2.0","id":1,"method":"x"}'
    text += b" " * (MIB - len(text))
    async with raw_socket(service) as ws:
        await ws.send(frame(TEXT, text[: MIB // 2], fin=False), frame(CONT, text[MIB // 2 :]))
        opcode, reply = await ws.frame()

    assert opcode == TEXT
    assert json.loads(reply)["error"]["code"] == -32601


async def test_a_text_may_come_in_any_pieces_with_pings_between_them(service: Service) -> None:
    text = '{"jsonrpc":"2.0","id":"ü€😀","method":"x"}'.encode()
    pieces = [
        frame(CONT, text[place : place + 1], fin=False) + frame(PING, b"%d" % place) for place in range(len(text))
    ]
    async with raw_socket(service) as ws:
        await ws.send(frame(TEXT, fin=False), *pieces, frame(CONT))
        pongs = [await ws.frame() for _ in text]
        _, reply = await ws.frame()

    assert pongs == [(PONG, b"%d" % place) for place in range(len(text))]
    assert json.loads(reply)["id"] == "ü€😀"


def memory() -> int:
    return int(psutil.Process().memory_info().rss)


@pytest.mark.bad_input(81)
async def test_empty_fragments_without_end_cost_nothing(service: Service) -> None:
    async with raw_socket(service) as ws:
        assert await ws.works()
        before = memory()
        await ws.send(frame(TEXT, fin=False))
        some = frame(CONT, fin=False) * 1_000
        for _ in range(100):
            await ws.send(some)
        await ws.send(frame(CONT, b"{}"))

        assert await ws.works()
        assert memory() - before < 16 * MIB


@pytest.mark.bad_input(81)
async def test_each_of_many_pings_is_answered(service: Service) -> None:
    async with raw_socket(service) as ws:
        before = memory()
        sending = asyncio.ensure_future(ws.send(*[frame(PING, b"%d" % number) for number in range(20_000)]))
        for number in range(20_000):
            assert await ws.frame() == (PONG, b"%d" % number)
        await sending

        assert await ws.works()
        assert memory() - before < 16 * MIB
