"""Order and cycles of a directed graph given as successors by node; every result is the same on every run."""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from heapq import heapify, heappop, heappush

Successors = Mapping[str, Collection[str]]
"""Where each node leads; a missing node leads nowhere."""


def reachable(starts: Iterable[str], successors: Successors) -> set[str]:
    """Return the nodes that a path of at least one edge leads to from any of the starts."""
    found: set[str] = set()
    queue = deque(starts)
    while queue:
        for successor in successors.get(queue.popleft(), ()):
            if successor not in found:
                found.add(successor)
                queue.append(successor)
    return found


def strongly_connected(nodes: Iterable[str], successors: Successors) -> list[tuple[str, ...]]:
    """Return the components that cycles hold together, each in the order of ``nodes``, in topological order.

    A node in no cycle is a component of its own. Of the orders that are right, the one nearest to ``nodes`` is
    returned. Components by the algorithm of Kosaraju and Sharir, order by Kahn's.
    """
    position = {node: index for index, node in enumerate(nodes)}
    follow = {node: [s for s in successors.get(node, ()) if s in position] for node in position}
    precede: dict[str, list[str]] = {node: [] for node in position}
    for node, heads in follow.items():
        for head in heads:
            precede[head].append(node)
    component: dict[str, tuple[str, ...]] = {}
    for node in reversed(_finished(position, follow)):
        if node not in component:
            members = _walk(node, precede, component)
            component.update(dict.fromkeys(members, tuple(sorted(members, key=position.__getitem__))))
    return _sorted_components(component, follow, position)


def shortest_cycle(start: str, successors: Successors) -> tuple[str, ...]:
    """Return the nodes of a shortest cycle through ``start``, which stands first and last; empty when there is none."""
    came_from: dict[str, str] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for successor in successors.get(node, ()):
            if successor == start:
                return _path_back(node, start, came_from)
            if successor not in came_from:
                came_from[successor] = node
                queue.append(successor)
    return ()


def _path_back(node: str, start: str, came_from: Mapping[str, str]) -> tuple[str, ...]:
    path = [start]
    while node != start:
        path.append(node)
        node = came_from[node]
    return (start, *reversed(path))


def _finished(nodes: Iterable[str], follow: Mapping[str, list[str]]) -> list[str]:
    """Return the nodes in the order in which a depth-first walk leaves them."""
    seen: set[str] = set()
    finished: list[str] = []
    for root in nodes:
        walk = [] if root in seen else [(root, iter(follow[root]))]
        seen.add(root)
        while walk:
            node, rest = walk[-1]
            successor = next((s for s in rest if s not in seen), None)
            if successor is None:
                finished.append(node)
                walk.pop()
            else:
                seen.add(successor)
                walk.append((successor, iter(follow[successor])))
    return finished


def _walk(start: str, precede: Mapping[str, list[str]], taken: Collection[str]) -> list[str]:
    members, queue = [start], [start]
    while queue:
        new = [node for node in dict.fromkeys(precede[queue.pop()]) if node not in taken and node not in members]
        members.extend(new)
        queue.extend(new)
    return members


def _sorted_components(
    component: Mapping[str, tuple[str, ...]], follow: Mapping[str, list[str]], position: Mapping[str, int]
) -> list[tuple[str, ...]]:
    """Sort so that each component comes after all that lead to it, the one that begins earliest first."""
    components = {members[0]: members for members in component.values()}
    leads_to = {
        head: {component[s][0] for node in members for s in follow[node]} - {head}
        for head, members in components.items()
    }
    n_open = dict.fromkeys(components, 0)
    for heads in leads_to.values():
        for head in heads:
            n_open[head] += 1
    ready = [(position[head], head) for head, count in n_open.items() if count == 0]
    heapify(ready)
    ordered = []
    while ready:
        _, head = heappop(ready)
        ordered.append(components[head])
        for successor in leads_to[head]:
            n_open[successor] -= 1
            if n_open[successor] == 0:
                heappush(ready, (position[successor], successor))
    return ordered
