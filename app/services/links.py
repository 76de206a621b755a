"""Graphs that run other graphs: looked up among the stored ones."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from app.services.derived import Checked, Judged, Runnable
from app.storage.repositories.graphs import StoredVersion
from graphwire.engine.linking import linked
from graphwire.engine.plan import Plan
from graphwire.errors import InvalidInput, Problem
from graphwire.graphs.references import Found, Named, Reference, Resolution
from graphwire.graphs.shape import invalid_graph
from graphwire.graphs.validation import Findings

Versions: TypeAlias = Mapping[str, int]
"""``Plan.graphs`` of an execution that has started."""

Ready: TypeAlias = Callable[[StoredVersion], Awaitable[Runnable]]


class Links:
    """Finds out what graphs stand for that others name.

    Args:
        find: Returns the version that a name stands for, None where there is none. With versions: for an execution
            that has started, so also what was deleted since; else for one that starts now.
        findings: Says all that can be said against a version.
        ready: Makes a version ready to be started, without what it runs; raises ``InvalidInput`` where it cannot run.
    """

    def __init__(
        self,
        find: Callable[[Named, Versions | None], Awaitable[StoredVersion | None]],
        findings: Callable[[StoredVersion], Awaitable[Findings]],
        ready: Ready,
    ) -> None:
        self._find = find
        self._findings = findings
        self._ready = ready

    async def whole(self, runnable: Runnable, versions: Versions | None) -> Runnable:
        """Return a version with the plans of what it runs.

        Raises:
            GraphInvalid: A graph that it runs, or one that those run, is not there, cannot run, or would run itself.
            CodeChanged: The code of one of them is not what it was.
        """
        if not runnable.references:
            return runnable
        return runnable.with_plan(await self._linked(runnable.plan, runnable.references, versions, self._ready))

    async def replayable(self, plan: Plan, stored: StoredVersion, versions: Versions, ready: Ready) -> Plan:
        """Return a plan for repeating commits with the plans of what it runs, likewise made by ``ready``.

        Raises:
            GraphInvalid: A graph that it runs, or one that those run, is not there any more, or cannot be read.
        """
        references = (await self._findings(stored)).references
        return await self._linked(plan, references, versions, ready) if references else plan

    async def _linked(
        self, plan: Plan, references: Sequence[Reference], versions: Versions | None, ready: Ready
    ) -> Plan:
        parts: dict[Named, Plan] = {}
        resolution = Resolution(plan.definition.id, plan.version, references)
        while (named := resolution.wanted) is not None:
            stored = await self._find(named, versions)
            found: Found | None = None
            if stored is not None:
                try:
                    part = await ready(stored)
                except InvalidInput as error:
                    found = Found(stored.info.version, flaw=error.detail)
                else:
                    found = Found(stored.info.version, part.references)
                    parts[named] = part.plan
            resolution.give(named, found)
        problems = [each for problems in resolution.problems() for each in problems]
        if problems:
            raise invalid_graph(problems)
        return linked(plan, parts, resolution.versions)

    async def checked(self, checked: Checked) -> Checked:
        """Add what other graphs make odd about a graph that is to be stored: one that it runs may come later.

        Raises:
            GraphInvalid: It would run itself.
        """
        never, now = await self._judge(checked.id, None, checked.findings.references)
        if never:
            raise invalid_graph(never)
        return replace(checked, warnings=(*checked.warnings, *now))

    async def judged(self, value: object, judged: Judged) -> Judged:
        """Add what can be said about a value that is to be a definition because of other graphs."""
        given = value.get("id") if isinstance(value, dict) else None
        return replace(judged, findings=await self.found(str(given), None, judged.findings))

    async def found(self, graph_id: str, version: int | None, findings: Findings) -> Findings:
        """Add what can be said about a version because of other graphs."""
        if not findings.references:
            return findings
        never, now = await self._judge(graph_id, version, findings.references)
        problems, warnings = (*findings.problems, *never), (*findings.warnings, *now)
        return replace(findings, problems=problems, warnings=warnings)

    async def _judge(
        self, graph_id: str, version: int | None, references: Sequence[Reference]
    ) -> tuple[Sequence[Problem], Sequence[Problem]]:
        resolution = Resolution(graph_id, version, references)
        while (named := resolution.wanted) is not None:
            stored = await self._find(named, None)
            found: Found | None = None
            if stored is not None:
                said = await self._findings(stored)
                flaw = said.problems[0].detail if said.problems else ""
                found = Found(stored.info.version, said.references, flaw)
            resolution.give(named, found)
        return resolution.problems()
