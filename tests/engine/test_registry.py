"""What the control topics say gives way to requests: it is taken up between them, a little at a time."""

import time
from collections.abc import Sequence
from typing import Any

from dfml.record import Record
from dfml.topics import Topics
from dfml_engine.registry import PATIENCE_S, SLICE_S, LoadedSpec, Registry


def spec_records(texts: Any, topics: Topics, n: int) -> list[Record]:
    documents = texts.documents(*(texts.model(f"m{number}", "add1") for number in range(n)))
    appends = [LoadedSpec("Model", each.name, 1, each, 0).to_append(topics) for each in documents]
    return [Record(*append[:2], offset, *append[2:5], 0) for offset, append in enumerate(appends)]


class SlowListener:
    """Takes longer for each spec than the registry works at a stretch."""

    def spec_loaded(self, spec: LoadedSpec) -> None:
        time.sleep(SLICE_S)


def registry_with(records: Sequence[Record], topics: Topics, *, has_requests: bool) -> Registry:
    registry = Registry(topics)
    registry.listen(SlowListener())  # type: ignore[arg-type] - it is told of nothing else
    registry.give_way(lambda: has_requests)
    registry.handle(records)
    return registry


def test_specs_wait_while_requests_are_under_way_but_not_for_ever(texts: Any, topics: Topics):
    began_s = time.monotonic()
    registry = registry_with(spec_records(texts, topics, 1), topics, has_requests=True)
    assert registry.newest("Model", "m0") is None
    while registry.wake_ms() is not None:
        registry.tick(0)
    assert registry.newest("Model", "m0") is not None
    assert time.monotonic() >= began_s + PATIENCE_S


def test_many_specs_are_taken_up_in_their_order_with_room_for_requests_between(texts: Any, topics: Topics):
    registry = registry_with(spec_records(texts, topics, 3), topics, has_requests=False)
    seen = [len(registry.versions)]
    while registry.wake_ms() is not None:
        registry.tick(0)
        seen.append(len(registry.versions))
    assert seen == [1, 2, 3]
