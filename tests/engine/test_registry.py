"""What the control topics say gives way to requests: it is taken up between them, a little at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dfml.record import Record
from dfml.topics import Topics
from dfml_engine.registry import PATIENCE_S, SLICE_S, LoadedSpec, Registry


def spec_records(texts: Any, topics: Topics, n: int) -> list[Record]:
    documents = texts.documents(*(texts.model(f"m{number}", "add1") for number in range(n)))
    appends = [LoadedSpec("Model", each.name, 1, each, 0).to_append(topics) for each in documents]
    return [Record(*append[:2], offset, *append[2:5], 0) for offset, append in enumerate(appends)]


@dataclass
class SlowListener:
    """Takes as long for each spec as the registry works at a stretch, by its own clock."""

    now_s: float = 0.0

    def spec_loaded(self, spec: LoadedSpec) -> None:
        self.now_s += SLICE_S


def registry_with(records: Sequence[Record], topics: Topics, listener: SlowListener, *, has_requests: bool) -> Registry:
    registry = Registry(topics, monotonic_s=lambda: listener.now_s)
    registry.listen(listener)  # type: ignore[arg-type] - it is told of nothing else
    registry.give_way(lambda: has_requests)
    registry.handle(records)
    return registry


def test_specs_wait_while_requests_are_under_way_but_not_for_ever(texts: Any, topics: Topics):
    listener = SlowListener()
    registry = registry_with(spec_records(texts, topics, 1), topics, listener, has_requests=True)
    registry.tick(0)
    assert (registry.newest("Model", "m0"), registry.wake_ms()) == (None, 0)
    listener.now_s = PATIENCE_S
    registry.tick(0)
    assert registry.newest("Model", "m0") is not None
    assert registry.wake_ms() is None


def test_many_specs_are_taken_up_in_their_order_with_room_for_requests_between(texts: Any, topics: Topics):
    registry = registry_with(spec_records(texts, topics, 3), topics, SlowListener(), has_requests=False)
    seen = [len(registry.versions)]
    while registry.wake_ms() is not None:
        registry.tick(0)
        seen.append(len(registry.versions))
    assert seen == [1, 2, 3]
