"""Boxes and links to coordinates: a layered drawing from left to right with smooth routes that pass no box."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dfml.drawing.layers import Edge, Layered, Vertex, arrange

MARGIN = 16.0
LAYER_GAP = 56.0
BOX_GAP = 28.0
PASSING_GAP = 18.0
"""Room between a long edge that passes through a layer and its neighbours."""
PORT_STEP = 11.0
LABEL_PADDING = 18.0
SWEEPS = 10
"""Rounds of moving layers towards their neighbours; the drawing hardly moves after six."""
STRAIGHTNESS = 8.0
"""How much more a long edge's inner links pull than those between boxes."""


@dataclass(frozen=True, slots=True)
class Box:
    """A node to be placed; sizes in user units (pixels at scale 1)."""

    name: str
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Link:
    """An edge to be drawn; the gap that it crosses is made wide enough for its label."""

    source: str
    target: str
    label_width: float = 0.0

    @property
    def edge(self) -> Edge:
        """Source and target."""
        return (self.source, self.target)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a box stands: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Route:
    """A link's way as corner points: from point 0 to 1 a level line, from 1 to 2 a curve, then a line again, and so on.

    Curves are cubic with level ends (:func:`control_points`). The first point touches the source, the last the target.
    """

    link: Link
    points: tuple[tuple[float, float], ...]

    @property
    def label_gap(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The two ends of the curve that has room for the label."""
        n_gaps = (len(self.points) - 2) // 2
        first, last = self.points[0][0], self.points[-1][0]
        gap = (n_gaps - 1) // 2 if first <= last else n_gaps - 1 - (n_gaps - 1) // 2
        return self.points[2 * gap + 1], self.points[2 * gap + 2]


@dataclass(frozen=True, slots=True)
class Layout:
    """The whole drawing: everything lies within ``width`` and ``height``. Loops have no route."""

    width: float
    height: float
    places: dict[str, Place]
    routes: tuple[Route, ...]


def lay_out(boxes: Sequence[Box], links: Iterable[Link]) -> Layout:
    """Place the boxes in layers from left to right and route the links between them.

    Parameters
    ----------
    boxes
        The nodes, by distinct names.
    links
        Edges between them; of several between the same two boxes the first is kept.
    """
    size = {box.name: box for box in boxes}
    distinct = {link.edge: link for link in reversed(list(links)) if link.source != link.target}
    kept = dict(reversed(distinct.items()))
    layered = arrange([box.name for box in boxes], kept)
    centres = _centres(layered, size)
    columns, width = _columns(layered, size, kept)
    top = min((centres[v] - _height(v, size) / 2 for layer in layered.layers for v in layer), default=0.0)
    bottom = max((centres[v] + _height(v, size) / 2 for layer in layered.layers for v in layer), default=0.0)
    lowered = {vertex: centre - top + MARGIN for vertex, centre in centres.items()}
    places = {}
    for layer, (left, right) in zip(layered.layers, columns, strict=True):
        for vertex in layer:
            if vertex.edge is None:
                box = size[vertex.name]
                x = (left + right - box.width) / 2
                places[box.name] = Place(x, lowered[vertex] - box.height / 2, box.width, box.height)
    routes = _routes(layered, kept, places, lowered, columns)
    return Layout(width, bottom - top + 2 * MARGIN, places, routes)


def control_points(start: tuple[float, float], end: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """Return the two inner control points of a curve that leaves and arrives level."""
    reach = (end[0] - start[0]) / 2
    return (start[0] + reach, start[1]), (end[0] - reach, end[1])


def _height(vertex: Vertex, size: Mapping[str, Box]) -> float:
    return 0.0 if vertex.edge else size[vertex.name].height


def _columns(
    layered: Layered, size: Mapping[str, Box], links: Mapping[Edge, Link]
) -> tuple[list[tuple[float, float]], float]:
    """Return each layer's left and right and the whole width; gaps fit the labels of the links that cross them."""
    gaps = [LAYER_GAP] * len(layered.layers)
    layer_of = {vertex: index for index, layer in enumerate(layered.layers) for vertex in layer}
    for edge, chain in layered.chains.items():
        if links[edge].label_width:
            labelled = (len(chain) - 2) // 2 + layer_of[chain[0]]
            gaps[labelled] = max(gaps[labelled], links[edge].label_width + 2 * LABEL_PADDING)
    columns, x = [], MARGIN
    for layer, gap in zip(layered.layers, gaps, strict=True):
        width = max(size[v.name].width if v.edge is None else 0.0 for v in layer)
        columns.append((x, x + width))
        x += width + gap
    return columns, (columns[-1][1] if columns else MARGIN) + MARGIN


def _centres(layered: Layered, size: Mapping[str, Box]) -> dict[Vertex, float]:
    """Return the level of every vertex: near its neighbours, in the layer's order, without overlap."""
    pulls: dict[Vertex, list[tuple[Vertex, float]]] = {}
    layer_of = {vertex: index for index, layer in enumerate(layered.layers) for vertex in layer}
    for chain in layered.chains.values():
        for left, right in zip(chain, chain[1:], strict=False):
            weight = STRAIGHTNESS if left.edge and right.edge else 2.0 if left.edge or right.edge else 1.0
            pulls.setdefault(left, []).append((right, weight))
            pulls.setdefault(right, []).append((left, weight))
    centres: dict[Vertex, float] = {}
    for layer in layered.layers:
        centres |= _spread(layer, [0.0] * len(layer), size)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for index in range(len(layered.layers)) if downwards else range(len(layered.layers) - 1, -1, -1):
            layer = layered.layers[index]
            side = index - 1 if downwards else index + 1
            last = sweep >= SWEEPS - 2
            wanted = [
                _pulled_to(
                    centres[vertex],
                    [(centres[o], w) for o, w in pulls.get(vertex, ()) if last or layer_of[o] == side],
                )
                for vertex in layer
            ]
            centres |= _spread(layer, wanted, size)
    return centres


def _pulled_to(now: float, pulls: Sequence[tuple[float, float]]) -> float:
    total = sum(weight for _, weight in pulls)
    return sum(level * weight for level, weight in pulls) / total if total else now


def _spread(layer: Sequence[Vertex], wanted: Sequence[float], size: Mapping[str, Box]) -> dict[Vertex, float]:
    """Return the levels nearest to the wanted ones (least squares) that keep order and distance.

    Less its distance from the first, a level may not fall from one vertex to the next: isotonic regression, solved
    by pooling adjacent violators.
    """
    offsets: list[float] = [0.0]
    for upper, lower in zip(layer, layer[1:], strict=False):
        gap = PASSING_GAP if upper.edge or lower.edge else BOX_GAP
        offsets.append(offsets[-1] + (_height(upper, size) + _height(lower, size)) / 2 + gap)
    pools: list[tuple[float, int]] = []
    for level, offset in zip(wanted, offsets, strict=False):
        mean: float = level - offset
        count = 1
        while pools and pools[-1][0] > mean:
            above, n_above = pools.pop()
            mean, count = (above * n_above + mean * count) / (n_above + count), n_above + count
        pools.append((mean, count))
    levels = [mean for mean, count in pools for _ in range(count)]
    return {vertex: level + offset for vertex, level, offset in zip(layer, levels, offsets, strict=False)}


def _routes(
    layered: Layered,
    links: Mapping[Edge, Link],
    places: Mapping[str, Place],
    levels: Mapping[Vertex, float],
    columns: Sequence[tuple[float, float]],
) -> tuple[Route, ...]:
    layer_of = {vertex: index for index, layer in enumerate(layered.layers) for vertex in layer}
    starts = _ports(layered, places, levels, outgoing=True)
    ends = _ports(layered, places, levels, outgoing=False)
    routes = []
    for edge, chain in layered.chains.items():
        source, target = places[chain[0].name], places[chain[-1].name]
        points = [(source.x + source.width, starts[edge]), (columns[layer_of[chain[0]]][1], starts[edge])]
        for vertex in chain[1:-1]:
            left, right = columns[layer_of[vertex]]
            points += [(left, levels[vertex]), (right, levels[vertex])]
        points += [(columns[layer_of[chain[-1]]][0], ends[edge]), (target.x, ends[edge])]
        routes.append(Route(links[edge], tuple(reversed(points) if edge in layered.reversed_edges else points)))
    return tuple(routes)


def _ports(
    layered: Layered, places: Mapping[str, Place], levels: Mapping[Vertex, float], *, outgoing: bool
) -> dict[Edge, float]:
    """Return the level at which each edge touches its box, in the order of where the edges go."""
    near, next_one = (0, 1) if outgoing else (-1, -2)
    touching: dict[str, list[tuple[float, Edge]]] = {}
    for edge, chain in layered.chains.items():
        touching.setdefault(chain[near].name, []).append((levels[chain[next_one]], edge))
    ports: dict[Edge, float] = {}
    for name, found in touching.items():
        place = places[name]
        step = min(PORT_STEP, 0.7 * place.height / len(found))
        for index, (_, edge) in enumerate(sorted(found)):
            ports[edge] = place.y + place.height / 2 + step * (index - (len(found) - 1) / 2)
    return ports
