"""JSON-RPC 2.0: messages that come, read; messages that go, encoded. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw, Struct

from graphwire.errors import InvalidInput, quoted

MAX_ID_LENGTH = 255

Id: TypeAlias = str | int | float | None


class Code(IntEnum):
    """Codes of errors (JSON-RPC 2.0 §5.1); ``PROBLEM`` is for all of the service's own."""

    UNREADABLE = -32700
    INVALID_REQUEST = -32600
    UNKNOWN_METHOD = -32601
    INVALID_PARAMS = -32602
    INTERNAL = -32603
    PROBLEM = -32000


@dataclass(frozen=True, slots=True)
class Call:
    """A request.

    Attributes:
        wants_reply: False for a notification: what comes of it is not told.
    """

    id: Id
    method: str
    params: Mapping[str, Any]
    wants_reply: bool = True


class FaultError(Exception):
    """A message is no request, or one that cannot be carried out.

    Attributes:
        id: The request's, as far as it could be read.
        problem: More about it, plain JSON values.
    """

    def __init__(self, code: Code, message: str, id: Id = None, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.id = id
        self.problem = problem


def read_call(value: Any) -> Call:
    """Read a message that is a JSON value.

    Members that JSON-RPC does not know are passed over.

    Raises:
        FaultError: It is no request, or a batch.
    """
    if isinstance(value, list):
        raise FaultError(Code.INVALID_REQUEST, "batches are not taken; send each request as a message of its own")
    if not isinstance(value, dict):
        raise FaultError(Code.INVALID_REQUEST, "a request is an object")
    id = read_id(value)
    if value.get("jsonrpc") != "2.0":
        raise FaultError(Code.INVALID_REQUEST, 'the member "jsonrpc" must be "2.0"', id)
    method = value.get("method")
    if not isinstance(method, str):
        raise FaultError(Code.INVALID_REQUEST, 'the member "method" must be a text', id)
    params = value.get("params", {})
    if not isinstance(params, dict):
        raise FaultError(Code.INVALID_PARAMS, f"the parameters of {quoted(method)} are an object, by name", id)
    return Call(id, method, params, "id" in value)


def read_id(request: Mapping[str, Any]) -> Id:
    """Return the id of a request; None where it has none.

    Raises:
        FaultError: It is none that a reply could repeat.
    """
    id = request.get("id")
    if isinstance(id, bool) or not isinstance(id, Id) or (isinstance(id, str) and len(id) > MAX_ID_LENGTH):
        detail = f"an id is a text of at most {MAX_ID_LENGTH} characters, a number, or null"
        raise FaultError(Code.INVALID_REQUEST, detail)
    return id


def unreadable(error: InvalidInput, problem: Mapping[str, Any], id: Id) -> FaultError:
    """Return the fault of a message that is no JSON, or not within the limits of it."""
    return FaultError(Code.UNREADABLE, error.detail, id, problem)


class _Result(Struct, kw_only=True):
    jsonrpc: str = "2.0"
    id: Id
    result: Any


class _Error(Struct, omit_defaults=True):
    code: int
    message: str
    data: Mapping[str, Any] | None = None


class _Failure(Struct, kw_only=True):
    jsonrpc: str = "2.0"
    id: Id
    error: _Error


def encode_result(id: Id, result: Any) -> bytes:
    """Encode the reply to a request that was carried out; ``result`` is a ``Struct`` or plain values."""
    return msgspec.json.encode(_Result(id=id, result=result))


def encode_fault(fault: FaultError) -> bytes:
    """Encode the reply to what was not."""
    failure = _Failure(id=fault.id, error=_Error(int(fault.code), fault.message, fault.problem))
    return msgspec.json.encode(failure, enc_hook=str)


def event_head(subscription: str) -> bytes:
    """Return what stands before an event in its notification; ``TAIL`` stands behind it."""
    return b'{"jsonrpc":"2.0","method":"event","params":{"subscription":%b,"event":' % msgspec.json.encode(subscription)


TAIL = b"}}"


def encode_notice(subscription: str, line: bytes) -> bytes:
    """Encode the notification of a notice that is a line of JSON."""
    params = {"subscription": subscription, "notice": Raw(line)}
    return msgspec.json.encode({"jsonrpc": "2.0", "method": "notice", "params": params})
