"""Every command, in every situation, has the same outcome over REST, over a WebSocket and from the client."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest

from graphwire.client import AsyncClient, ProblemError
from graphwire.client.answers import Breakpoint, Forked
from tests.live.control import gates
from tests.live.serving import Service
from tests.live.sockets import socket

NOWHERE = "0199aaaa-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Outcome:
    """What became of a command: its event, or the problem. Places are those in what was given."""

    status: int
    code: str | None = None
    allowed: tuple[str, ...] | None = None
    places: tuple[str, ...] = ()
    event: str | None = None


Give: TypeAlias = Callable[[str, str, dict[str, Any]], Awaitable[tuple[Outcome, int | None]]]
"""Gives a command, by its name and its arguments, to an execution."""


@asynccontextmanager
async def over_rest(service: Service) -> AsyncIterator[Give]:
    async def give(execution: str, name: str, arguments: dict[str, Any]) -> tuple[Outcome, int | None]:
        method, last, member = {
            "set_breakpoints": ("PUT", "breakpoints", "breakpoints"),
            "edit_state": ("PATCH", "state", "patch"),
        }.get(name, ("POST", name, None))
        body = arguments if member is None else arguments[member]
        answer = await service.client.request(method, f"/executions/{execution}/{last}", json=body)
        if answer.status_code == 202:
            return Outcome(202), int(answer.json()["applied_seq"])
        if answer.status_code == 201:
            return Outcome(201, event=answer.json()["forked_from"]["execution_id"]), None
        return _told(answer.json(), ""), None

    yield give


@asynccontextmanager
async def over_socket(service: Service) -> AsyncIterator[Give]:
    async with socket(service) as connection:

        async def give(execution: str, name: str, arguments: dict[str, Any]) -> tuple[Outcome, int | None]:
            reply = await connection.call(f"execution.{name}", execution_id=execution, **arguments)
            if "result" in reply:
                made = reply["result"].get("forked_from")
                if made is not None:
                    return Outcome(201, event=made["execution_id"]), None
                return Outcome(202), int(reply["result"]["applied_seq"])
            member = {"set_breakpoints": "/breakpoints", "edit_state": "/patch"}.get(name, "")
            return _told(reply["error"]["data"], f"/params{member}"), None

        yield give


@asynccontextmanager
async def from_client(service: Service) -> AsyncIterator[Give]:
    async with AsyncClient(f"http://127.0.0.1:{service.port}") as client:

        async def give(execution: str, name: str, arguments: dict[str, Any]) -> tuple[Outcome, int | None]:
            command = getattr(client.executions, name)
            if name == "set_breakpoints":
                arguments = {"breakpoints": [Breakpoint(**each) for each in arguments["breakpoints"]]}
            try:
                done = await command(execution, **arguments)
                if isinstance(done, Forked):
                    return Outcome(201, event=done.forked_from.execution_id), None
                return Outcome(202), done.applied_seq
            except ProblemError as error:
                problem = {"status": error.status, "code": error.code, **error.facts}
                return _told({**problem, "errors": [{"pointer": each.pointer} for each in error.errors]}, ""), None

        yield give


TRANSPORTS = {"REST": over_rest, "WebSocket": over_socket, "client": from_client}


def _told(problem: dict[str, Any], at: str) -> Outcome:
    allowed = problem.get("allowed")
    places = tuple(each["pointer"].removeprefix(at) for each in problem.get("errors", ()))
    return Outcome(problem["status"], problem["code"], None if allowed is None else tuple(allowed), places)


@dataclass(frozen=True)
class Case:
    """A command to an execution that is brought into a situation before."""

    situation: str
    command: str
    expected: Outcome
    arguments: dict[str, Any] = field(default_factory=dict)


def applied(event: str) -> Outcome:
    return Outcome(202, event=event)


def refused(*allowed: str) -> Outcome:
    return Outcome(409, "command_not_allowed", allowed)


ANY = {"interrupt_id": "nothing", "value": 1}
BEFORE = {"breakpoints": [{"node": "second"}]}
WHILE_RUNNING = ("cancel", "pause", "input", "set_breakpoints", "fork")
WHILE_PAUSED = ("cancel", "resume", "step", "input", "set_breakpoints", "edit_state", "fork")
CASES = [
    Case("running", "pause", applied("execution_paused")),
    Case("running", "resume", refused(*WHILE_RUNNING)),
    Case("running", "step", refused(*WHILE_RUNNING)),
    Case("running", "input", Outcome(404, "not_found"), ANY),
    Case("running", "edit_state", refused(*WHILE_RUNNING), {"patch": {"n": 5}}),
    Case("running", "set_breakpoints", applied("breakpoint_hit"), BEFORE),
    Case("running", "cancel", applied("execution_cancelled"), {"reason": "enough"}),
    Case("paused", "pause", refused(*WHILE_PAUSED)),
    Case("paused", "resume", applied("execution_resumed")),
    Case("paused", "step", applied("step_completed")),
    Case("paused", "step", applied("step_completed"), {"mode": "into"}),
    Case("paused", "step", Outcome(422, "invalid_request", places=("/mode",)), {"mode": "far"}),
    Case("paused", "input", Outcome(404, "not_found"), ANY),
    Case("paused", "edit_state", applied("variable_changed"), {"patch": {"n": 5, "gone": None}}),
    Case("paused", "edit_state", Outcome(422, "state_invalid", places=("/errors",)), {"patch": {"errors": []}}),
    Case(
        "paused",
        "set_breakpoints",
        Outcome(422, "invalid_request", places=("/0/node",)),
        {"breakpoints": [{"node": "secnd"}]},
    ),
    Case("paused", "cancel", applied("execution_cancelled")),
    Case("asking", "resume", refused("cancel", "step", "input", "set_breakpoints", "edit_state", "fork")),
    Case("asking", "step", Outcome(409, "nothing_ready")),
    Case("asking", "input", applied("input_received"), {"value": {"ok": True}}),
    Case("asking", "input", Outcome(422, "invalid_request", places=("/value/ok",)), {"value": {"ok": "yes"}}),
    Case("asking", "cancel", applied("execution_cancelled")),
    *(
        Case("ended", name, refused("fork"), arguments)
        for name, arguments in (
            ("pause", {}),
            ("resume", {}),
            ("step", {}),
            ("input", ANY),
            ("edit_state", {"patch": {}}),
            ("set_breakpoints", BEFORE),
            ("cancel", {}),
        )
    ),
    Case("running", "retry", refused(*WHILE_RUNNING)),
    Case("paused", "fork", Outcome(201)),
    Case("ended", "fork", Outcome(201), {"state": {"count": 7}}),
    Case("ended", "fork", Outcome(422, "invalid_request", places=("/at",)), {"at": 0}),
    Case("ended", "retry", refused("fork")),
    *(
        Case("nowhere", name, Outcome(404, "not_found"), arguments)
        for name, arguments in (
            ("pause", {}),
            ("resume", {}),
            ("step", {}),
            ("input", ANY),
            ("edit_state", {"patch": {}}),
            ("set_breakpoints", BEFORE),
            ("cancel", {}),
            ("fork", {}),
            ("retry", {}),
        )
    ),
]


async def brought(service: Service, client: AsyncClient, situation: str, gate: str) -> str:
    """Return an execution that is in this situation."""
    if situation == "nowhere":
        return NOWHERE
    if situation == "ended":
        return (await client.run("chain")).id
    if situation == "asking":
        return await settled(client, await service.start("asking"))
    execution = await service.start("steered", state={"gate": gate})
    await gates[gate].reached.wait()
    if situation == "paused":
        await client.executions.pause(execution)
        gates[gate].opened.set()
        await settled(client, execution)
    return execution


async def settled(client: AsyncClient, execution: str) -> str:
    """Wait for a pause."""
    async with client.follow(execution, types=["execution_paused"]) as stream:
        assert (await stream.recv()).type == "execution_paused"
    return execution


@pytest.mark.capability("CTL-11")
@pytest.mark.parametrize("situation", ["running", "paused", "asking", "ended", "nowhere"])
async def test_a_command_has_the_same_outcome_on_every_way_to_the_service(service: Service, situation: str) -> None:
    cases = [case for case in CASES if case.situation == situation]
    names = [f"{number} {case.command}" for number, case in enumerate(cases)]
    expected = {name: dict.fromkeys(TRANSPORTS, case.expected) for name, case in zip(names, cases, strict=True)}
    outcomes: dict[str, dict[str, Outcome]] = {name: {} for name in names}
    async with AsyncClient(f"http://127.0.0.1:{service.port}") as client:
        for name, transport in TRANSPORTS.items():
            async with transport(service) as give:
                for number, case in enumerate(cases):
                    gate = f"{name}-{number}"
                    execution = await brought(service, client, situation, gate)
                    arguments = case.arguments
                    if situation == "asking" and case.command == "input":
                        (asked,) = (await client.executions.get(execution)).interrupts
                        arguments = {"interrupt_id": asked.interrupt_id, **arguments}
                    outcome, seq = await give(execution, case.command, arguments)
                    gates[gate].opened.set()
                    if outcome.status == 201:
                        assert outcome.event == execution
                        outcome = Outcome(201)
                    if seq is not None:
                        outcome = await effect(client, execution, seq, case)
                    outcomes[names[number]][name] = outcome

    assert outcomes == expected


async def effect(client: AsyncClient, execution: str, seq: int, case: Case) -> Outcome:
    """Return the outcome of a command that was accepted, with the event in which it had its effect."""
    async with client.follow(execution, after=seq - 1) as stream:
        accepted = await stream.recv()
        assert (accepted.seq, accepted.type) == (seq, "command_accepted")
        async for event in stream:
            if event.type == case.expected.event:
                return Outcome(202, event=event.type)
    return Outcome(202)
