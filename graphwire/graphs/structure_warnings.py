"""What is odd about a graph's structure, though it runs."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from graphwire.errors import Problem, quoted
from graphwire.graphs.scope import Scope


def structure_warnings(scope: Scope) -> Iterator[Problem]:
    """Give the warnings, in time linear in nodes and edges. The structure must be free of problems."""
    paths = scope.paths()
    yield from _unreachable(scope, paths)
    yield from _joins_never_full(scope, paths)
    yield from _joins_waiting_on_one_another(scope, paths)
    yield from _joins_behind_any(scope, paths)


def _unreachable(scope: Scope, paths: Sequence[Sequence[int]]) -> Iterator[Problem]:
    indexes = scope.index_by_id()
    reached = _reached((indexes[entry] for entry in scope.graph.entries), paths)
    for index, node in enumerate(scope.nodes):
        if index not in reached:
            detail = f"no entry leads to {quoted(node.id)}, so it never runs"
            yield Problem(scope.node_place(index), "unreachable_node", detail)


def _joins_never_full(scope: Scope, paths: Sequence[Sequence[int]]) -> Iterator[Problem]:
    inputs = _inputs(scope, paths)
    for index, node in enumerate(scope.nodes):
        if isinstance(node.join, int) and node.join > inputs[index]:
            detail = f"waits for {node.join:,} inputs and has {inputs[index]:,}; it runs when no more can arrive"
            yield Problem(f"{scope.node_place(index)}/join", "join_never_full", detail)


def _joins_waiting_on_one_another(scope: Scope, paths: Sequence[Sequence[int]]) -> Iterator[Problem]:
    component = _components(paths)
    entries = set(scope.graph.entries)
    is_entered = [node.id in entries for node in scope.nodes]
    is_looped = [False] * len(paths)
    for source, targets in enumerate(paths):
        for target in targets:
            if component[source] == component[target]:
                is_looped[target] = True
            else:
                is_entered[target] = True
    joins: dict[int, list[int]] = {}
    for index, node in enumerate(scope.nodes):
        if is_entered[index] and is_looped[index] and node.join != "any":
            joins.setdefault(component[index], []).append(index)
    for indexes in joins.values():
        if len(indexes) > 1:
            names = ", ".join(quoted(scope.nodes[index].id) for index in indexes[:5])
            detail = f"{names} are on one cycle and wait for one another; the first of them is then released"
            yield Problem(scope.node_place(indexes[0]), "joins_wait_on_one_another", detail)


def _joins_behind_any(scope: Scope, paths: Sequence[Sequence[int]]) -> Iterator[Problem]:
    inputs = _inputs(scope, paths)
    sources = [index for index, node in enumerate(scope.nodes) if node.join == "any" and inputs[index] > 1]
    behind = _reached((target for source in sources for target in paths[source]), paths)
    for index in sorted(behind):
        if inputs[index] > 1 and scope.nodes[index].join != "any":
            detail = "may run several times, and with other inputs each time, as a join any comes before it"
            yield Problem(f"{scope.node_place(index)}/join", "join_behind_any", detail)


def _inputs(scope: Scope, paths: Sequence[Sequence[int]]) -> list[int]:
    counts = Counter(target for targets in paths for target in targets)
    entries = set(scope.graph.entries)
    return [counts[index] + (node.id in entries) for index, node in enumerate(scope.nodes)]


def _reached(starts: Iterable[int], paths: Sequence[Sequence[int]]) -> set[int]:
    stack = list(starts)
    reached = set(stack)
    while stack:
        for target in paths[stack.pop()]:
            if target not in reached:
                reached.add(target)
                stack.append(target)
    return reached


def _components(paths: Sequence[Sequence[int]]) -> list[int]:
    """Return per node a number of its strongly connected component (Tarjan's algorithm, with a stack of its own)."""
    component = [-1] * len(paths)
    found = [-1] * len(paths)  # the order of discovery
    low = [0] * len(paths)
    open_nodes: list[int] = []
    order = 0
    for root in range(len(paths)):
        if found[root] >= 0:
            continue
        trail = [(root, iter(paths[root]))]
        found[root] = low[root] = order
        order += 1
        open_nodes.append(root)
        while trail:
            node, targets = trail[-1]
            for target in targets:
                if found[target] < 0:
                    found[target] = low[target] = order
                    order += 1
                    open_nodes.append(target)
                    trail.append((target, iter(paths[target])))
                    break
                if component[target] < 0:
                    low[node] = min(low[node], found[target])
            else:
                trail.pop()
                if trail:
                    low[trail[-1][0]] = min(low[trail[-1][0]], low[node])
                if low[node] == found[node]:
                    while component[node] < 0:
                        component[open_nodes.pop()] = found[node]
    return component
