"""Plans of graphs that run other graphs: each reference gets the plan that it stands for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from graphwire.engine.plan import NodePlan, Plan, compile_plan
from graphwire.errors import GraphInvalid
from graphwire.graphs.code import Code
from graphwire.graphs.definition import GraphDefinition
from graphwire.graphs.references import Found, Named, Reference, Resolution
from graphwire.graphs.registry import Registry
from graphwire.graphs.shape import invalid_graph


@dataclass(frozen=True, slots=True)
class Part:
    """A valid graph, with the graphs that it names."""

    definition: GraphDefinition
    code: Code
    references: Sequence[Reference] = ()


def compile_linked(graph: Part, find: Callable[[str], Part | None], registry: Registry) -> Plan:
    """Make a graph ready to run where graphs have no versions: whichever a reference names, the one there is stands.

    Args:
        find: Returns the graph with an id; None where there is none. Raises ``GraphInvalid`` if it cannot run.

    Raises:
        GraphInvalid: A graph that it runs, or one that those run, is not there, cannot run, or would run itself.
    """
    plans: dict[str, Plan] = {}
    parts: dict[Named, Plan] = {}

    def look_up(named: Named) -> Found | None:
        try:
            part = find(named.graph)
        except GraphInvalid as error:
            return Found(1, flaw=error.detail)
        if part is None:
            return None
        if named.graph not in plans:
            plans[named.graph] = compile_plan(part.definition, registry, part.code)
        parts[named] = plans[named.graph]
        return Found(1, part.references)

    resolution = Resolution(graph.definition.id, 1, graph.references)
    while (named := resolution.wanted) is not None:
        resolution.give(named, look_up(named))
    problems = [each for found in resolution.problems() for each in found]
    if problems:
        raise invalid_graph(problems)
    plan = compile_plan(graph.definition, registry, graph.code)
    return linked(plan, parts, resolution.versions)


def linked(plan: Plan, parts: Mapping[Named, Plan], graphs: Mapping[str, int]) -> Plan:
    """Return a plan in which every reference has its plan; the same one where there is no reference.

    Args:
        parts: A plan for each name, in it and in those plans; none leads back to itself.
        graphs: What ``Plan.graphs`` is to say.
    """
    whole = _Linker(parts).whole(plan)
    if whole is plan:
        return plan
    runs = sorted({(named.graph, part.version) for named, part in parts.items()})
    return replace(whole, graphs=graphs, runs=runs)


class _Linker:
    def __init__(self, parts: Mapping[Named, Plan]) -> None:
        self._parts = parts
        self._whole: dict[Named, Plan] = {}

    def whole(self, plan: Plan) -> Plan:
        bodies = [self._body(node) for node in plan.nodes]
        pairs = list(zip(bodies, plan.nodes, strict=True))
        if all(body is node.body for body, node in pairs):
            return plan
        nodes = [node if body is node.body else replace(node, body=body) for body, node in pairs]
        known = [body for body in bodies if body is not None]
        return replace(
            plan,
            nodes=nodes,
            has_priorities=plan.has_priorities or any(body.has_priorities for body in known),
            draws=plan.draws or any(body.draws for body in known),
        )

    def _body(self, node: NodePlan) -> Plan | None:
        if node.reference is None:
            return None if node.body is None else self.whole(node.body)
        known = self._whole.get(node.reference)
        if known is None:
            known = self._whole[node.reference] = self.whole(self._parts[node.reference])
        return known
