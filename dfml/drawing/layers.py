"""Nodes into layers: cycles broken, longest paths, dummy nodes for long edges, few crossings.

The steps of Sugiyama, Tagawa and Toda (1981): every edge points from one layer to the next, and the order within a
layer comes from the barycentres of its neighbours. Deterministic: ties keep the order in which nodes were given.
"""

import heapq
from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ORDERING_ROUNDS = 12
"""Sweeps down and up; the best order met is kept, and few graphs improve after the eighth."""

Edge = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Vertex:
    """A node in a layer, or (``edge`` set) the place where a long edge passes through it."""

    name: str
    edge: Edge | None = None


@dataclass(frozen=True, slots=True)
class Layered:
    """The graph with every vertex in a layer, in order, and the chain of vertices that each edge runs along.

    ``chains`` run with the layers; the edges in ``reversed_edges`` point against them.
    """

    layers: tuple[tuple[Vertex, ...], ...]
    chains: dict[Edge, tuple[Vertex, ...]]
    reversed_edges: frozenset[Edge]


def arrange(nodes: Sequence[str], edges: Iterable[Edge]) -> Layered:
    """Put the nodes in ordered layers. Loops (an edge from a node to itself) and repeated edges are left out."""
    distinct = list(dict.fromkeys(edge for edge in edges if edge[0] != edge[1]))
    backward = _backward_edges(nodes, distinct)
    forward = {edge: (edge[1], edge[0]) if edge in backward else edge for edge in distinct}
    depth = _longest_paths(nodes, list(forward.values()))
    layers: list[list[Vertex]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in nodes:
        layers[depth[node]].append(Vertex(node))
    chains = {edge: _chain(edge, forward[edge], depth) for edge in distinct}
    for chain in chains.values():
        for offset, vertex in enumerate(chain[1:-1], start=1):
            layers[depth[chain[0].name] + offset].append(vertex)
    return Layered(_with_few_crossings(layers, list(chains.values())), chains, frozenset(backward))


def _backward_edges(nodes: Sequence[str], edges: Sequence[Edge]) -> set[Edge]:
    """Return the edges that close a cycle in a depth-first walk from the nodes in the order given."""
    followers: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in edges:
        followers[source].append(target)
    backward: set[Edge] = set()
    done: set[str] = set()
    for root in nodes:
        if root in done:
            continue
        walk = [(root, iter(followers[root]))]
        active = {root}
        while walk:
            node, rest = walk[-1]
            follower = next(rest, None)
            if follower is None:
                walk.pop()
                active.discard(node)
                done.add(node)
            elif follower in active:
                backward.add((node, follower))
            elif follower not in done:
                active.add(follower)
                walk.append((follower, iter(followers[follower])))
    return backward


def _longest_paths(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Return each node's distance from the farthest source of the acyclic graph."""
    rank = {node: index for index, node in enumerate(nodes)}
    followers: dict[str, list[str]] = {node: [] for node in nodes}
    waiting = dict.fromkeys(nodes, 0)
    for source, target in edges:
        followers[source].append(target)
        waiting[target] += 1
    depth = dict.fromkeys(nodes, 0)
    ready = [rank[node] for node in nodes if not waiting[node]]
    while ready:
        node = nodes[heapq.heappop(ready)]
        for follower in followers[node]:
            depth[follower] = max(depth[follower], depth[node] + 1)
            waiting[follower] -= 1
            if not waiting[follower]:
                heapq.heappush(ready, rank[follower])
    return depth


def _chain(edge: Edge, forward: Edge, depth: dict[str, int]) -> tuple[Vertex, ...]:
    source, target = forward
    between = (Vertex(f"{edge[0]}\0{edge[1]}\0{layer}", edge) for layer in range(depth[source] + 1, depth[target]))
    return (Vertex(source), *between, Vertex(target))


def _with_few_crossings(
    layers: list[list[Vertex]], chains: Sequence[tuple[Vertex, ...]]
) -> tuple[tuple[Vertex, ...], ...]:
    before: dict[Vertex, list[Vertex]] = {}
    after: dict[Vertex, list[Vertex]] = {}
    for chain in chains:
        for left, right in zip(chain, chain[1:], strict=False):
            after.setdefault(left, []).append(right)
            before.setdefault(right, []).append(left)
    best, fewest = [list(layer) for layer in layers], _count_crossings(layers, after)
    current = [list(layer) for layer in layers]
    for _ in range(ORDERING_ROUNDS):
        if not fewest:
            break
        for index in range(1, len(current)):
            current[index] = _by_barycentre(current[index], current[index - 1], before)
        for index in range(len(current) - 2, -1, -1):
            current[index] = _by_barycentre(current[index], current[index + 1], after)
        crossings = _count_crossings(current, after)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in current], crossings
    return tuple(tuple(layer) for layer in best)


def _by_barycentre(
    layer: Sequence[Vertex], fixed: Sequence[Vertex], neighbours: dict[Vertex, list[Vertex]]
) -> list[Vertex]:
    """Sort a layer by the mean place of each vertex's neighbours; a vertex without any stays where it is."""
    place = {vertex: index / max(1, len(fixed) - 1) for index, vertex in enumerate(fixed)}
    own = {vertex: index / max(1, len(layer) - 1) for index, vertex in enumerate(layer)}

    def centre(vertex: Vertex) -> float:
        found = [place[other] for other in neighbours.get(vertex, ())]
        return sum(found) / len(found) if found else own[vertex]

    return sorted(layer, key=centre)


def _count_crossings(layers: Sequence[Sequence[Vertex]], after: dict[Vertex, list[Vertex]]) -> int:
    crossings = 0
    for layer, following in zip(layers, layers[1:], strict=False):
        place = {vertex: index for index, vertex in enumerate(following)}
        seen: list[int] = []
        for vertex in layer:
            ends = sorted(place[target] for target in after.get(vertex, ()))
            crossings += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return crossings
