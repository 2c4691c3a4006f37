"""Experiments: which candidate a request goes to, and whether a copy of it goes to the mirror.

Both are drawn from the request's id, so that the same request is routed alike wherever and whenever it is read again.
"""

from hashlib import blake2b

from dfml.spec.schema import ExperimentSpec

ROUTE_HEADER = "x-seldon-route"
"""Names the candidate of a request, ``:name:``; sent back by a caller it makes the route sticky."""
_DRAW_BYTES = 8


def choose(experiment: str, spec: ExperimentSpec, request_id: str, route: str = "") -> str:
    """Return the candidate that a request goes to.

    Parameters
    ----------
    experiment : str
        The experiment's name: two experiments draw independently for one request.
    spec : ExperimentSpec
        Candidates with weights, of which at least one is not 0.
    request_id : str
        What is drawn from.
    route : str
        The caller's route header; a candidate named in it is taken.
    """
    for candidate in spec.candidates:
        if f":{candidate.name}:" in route:
            return candidate.name
    total = sum(candidate.weight for candidate in spec.candidates)
    point = _draw(f"{experiment}/{request_id}") * total
    for candidate in spec.candidates:
        point -= candidate.weight
        if point < 0:
            return candidate.name
    return spec.candidates[-1].name


def mirror_of(experiment: str, spec: ExperimentSpec, request_id: str) -> str | None:
    """Return the mirror when this request is copied to it."""
    if spec.mirror is None or _draw(f"{experiment}/mirror/{request_id}") * 100 >= spec.mirror.percent:
        return None
    return spec.mirror.name


def _draw(text: str) -> float:
    """Return a number in [0, 1) that depends on the text alone."""
    digest = blake2b(text.encode(), digest_size=_DRAW_BYTES).digest()
    return float(int.from_bytes(digest) / 256**_DRAW_BYTES)
