"""JSON-RPC over a socket: a message is read, its method carried out, and its reply encoded with the same problems."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from msgspec import Struct
from pydantic import BaseModel

from app.api import problems
from app.api.beside import Beside
from app.services.executions import ExecutionService
from app.services.forks import ForkService
from app.services.idempotency import Idempotency
from app.services.service_log import ServiceLog
from app.services.streams import StreamService
from app.transports.jsonrpc import (
    Call,
    Code,
    FaultError,
    Id,
    encode_fault,
    encode_result,
    read_call,
    read_id,
    unreadable,
)
from app.transports.websocket.connection import Answer, Connection
from graphwire.errors import AtCapacity, GraphInvalid, GraphwireError, InvalidInput, Problem, quoted
from graphwire.graphs.documents import Document, read_document
from graphwire.graphs.shape import parse_model
from graphwire.json_text import read_json
from graphwire.near_names import NearNames
from graphwire.types import GraphId

log = logging.getLogger(__name__)

_ABUSES: Final = frozenset({Code.UNREADABLE, Code.INVALID_REQUEST, Code.UNKNOWN_METHOD, Code.INVALID_PARAMS})
_AT: Final = "/params"
"""Where parameters stand in a message; what a service finds wrong is placed within the body or the query of HTTP."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where a method is called.

    Attributes:
        size: Bytes of the message.
        graph_id: The graph of a socket that is for one.
    """

    connection: Connection
    executions: ExecutionService
    streams: StreamService
    service_log: ServiceLog
    idempotency: Idempotency
    beside: Beside
    forks: ForkService
    size: int
    graph_id: GraphId | None = None


Perform: TypeAlias = Callable[[Context, Any], Awaitable[Struct]]


@dataclass(frozen=True, slots=True)
class Method:
    """What a client can ask for.

    Attributes:
        params: What its parameters are; None where nothing is read of them.
        result: What its reply carries.
        perform: Carries it out.
        is_available: Whether the service does it yet.
    """

    name: str
    summary: str
    params: type[BaseModel] | None
    result: type[Struct]
    perform: Perform
    is_available: bool = True


class Rpc:
    """Answers the messages of one socket.

    Args:
        request_id: Names the socket in problems and in the log.
    """

    def __init__(
        self, methods: Mapping[str, Method], state: Any, *, request_id: str, max_depth: int, graph_id: GraphId | None
    ) -> None:
        self._methods = methods
        self._state = state
        self._request_id = request_id
        self._max_depth = max_depth
        self._graph_id = graph_id

    async def answer(self, connection: Connection, message: str | bytes) -> Answer:
        """Carry a message out; never fails."""
        if isinstance(message, bytes):
            return _refusal(FaultError(Code.INVALID_REQUEST, "a message is text, not binary"))
        data = message.encode()
        call: Call | None = None
        try:
            document = await self._read(data)
            call = read_call(document.value)
            result = await self._perform(connection, call, document)
        except FaultError as fault:
            return _refusal(fault, wants_reply=call is None or call.wants_reply)
        return Answer(encode_result(call.id, result) if call.wants_reply else None)

    async def _read(self, data: bytes) -> Document:
        beside: Beside = self._state.beside
        try:
            return await beside.read("json", len(data), lambda: read_document(data, "json", max_depth=self._max_depth))
        except InvalidInput as error:
            id = await beside.read("json", len(data), lambda: _read_id(data))
            raise unreadable(error, self._problem(error), id) from None
        except AtCapacity as error:
            raise self._fault(error, None) from None

    async def _perform(self, connection: Connection, call: Call, document: Document) -> Struct:
        method = self._methods.get(call.method)
        if method is None:
            detail = f"there is no method {quoted(call.method)}{NearNames()(call.method, self._methods)}"
            raise FaultError(Code.UNKNOWN_METHOD, detail, call.id)
        state = self._state
        context = Context(
            connection,
            state.executions,
            state.streams,
            state.service_log,
            state.idempotency,
            state.beside,
            state.forks,
            len(document.data),
            self._graph_id,
        )
        try:
            params = await state.beside.read("json", len(document.data), lambda: _params(method, call))
            return await method.perform(context, params)
        except InvalidInput as error:
            raise self._fault(await self._placed(error, document), call.id) from None
        except GraphwireError as error:
            raise self._fault(error, call.id) from None
        except Exception:  # border: the top of a request
            log.exception("the request %s failed", call.method)
            unexpected = GraphwireError(problems.UNEXPECTED)
            raise FaultError(Code.INTERNAL, unexpected.title, call.id, self._problem(unexpected)) from None

    async def _placed(self, error: InvalidInput, document: Document) -> GraphwireError:
        """Have the pointers of problems lead into the message; those of a graph's own lead into its definition."""
        if isinstance(error, GraphInvalid) or not error.problems:
            return error
        beside: Beside = self._state.beside
        told = [replace(each, pointer=_pointer(each)) for each in error.problems[: problems.MAX_PROBLEMS]]
        error.left_out += len(error.problems) - len(told)
        try:
            error.problems = await beside.read("json", len(document.data), lambda: document.located(told))
        except AtCapacity as full:
            return full
        return error

    def _fault(self, error: GraphwireError, id: Id) -> FaultError:
        error = problems.shown(error, self._request_id)
        code = Code.INVALID_PARAMS if type(error) is InvalidInput else Code.PROBLEM
        return FaultError(code, problems.printable(error.detail), id, self._problem(error))

    def _problem(self, error: GraphwireError) -> Mapping[str, Any]:
        return problems.body_of(error, self._request_id, problems.status_of(type(error)))


def _read_id(data: bytes) -> Id:
    """Return the id of a message that is not taken for another reason; None where it cannot be read."""
    try:
        value = json.loads(data)
        id = read_id(value) if isinstance(value, dict) else None
        return id if id is None or read_json(json.dumps(id).encode()) == id else None
    except (ValueError, RecursionError, FaultError, GraphwireError):
        return None


def _params(method: Method, call: Call) -> BaseModel | None:
    if method.params is None:
        return None
    try:
        return parse_model(method.params, call.params, at=_AT)
    except GraphInvalid as error:
        raise InvalidInput(error.detail, error.problems, left_out=error.left_out) from None


def _pointer(problem: Problem) -> str:
    where = problem.pointer
    return where if where.startswith(_AT) else _AT + where.removeprefix("/query")


def _refusal(fault: FaultError, *, wants_reply: bool = True) -> Answer:
    return Answer(encode_fault(fault) if wants_reply else None, fault.code in _ABUSES)
