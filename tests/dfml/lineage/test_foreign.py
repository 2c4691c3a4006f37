"""Records of a foreign Seldon installation name no parents; theirs come from the pipeline's graph."""

from dfml.lineage.traces import trace
from dfml.record import Append


def strip_ours(log, store, tap_all):
    """Write what stands on the log again without our headers, under Seldon's keys, as another request's records."""
    reader = log.reader()
    data = [name for name in log.topics() if "fates" not in name and "specs" not in name]
    reader.assign(log.beginning([(name, 0) for name in data]))
    found = sorted(reader.poll(1000, 0.0), key=lambda record: record.timestamp_ms)
    log.append(
        [
            Append(
                record.topic,
                0,
                b"0.claims.foreign",
                record.value,
                tuple(each for each in record.headers if each[0] == "pipeline"),
                record.timestamp_ms,
            )
            for record in found
        ]
    )
    reader.close()
    tap_all()


def names_of_parents(found):
    at = found.by_position
    return {entry.name: {at[parent].name for parent in entry.parents} for entry in found.entries}


def test_parents_inferred_from_the_graph_are_those_that_ours_name(log, pen, store, tap_all):
    pen.load()
    pen.claim("r1", 100.0)
    strip_ours(log, store, tap_all)
    foreign, ours = trace(store, "foreign"), trace(store, "r1")
    assert names_of_parents(foreign) == names_of_parents(ours)
    assert foreign.inferred == {entry.position for entry in foreign.entries[1:]}
    assert ours.inferred == frozenset()


def test_without_the_document_a_steps_answer_still_came_from_what_it_was_given(log, pen, store, tap_all):
    pen.claim("r1", 100.0)
    strip_ours(log, store, tap_all)
    found = names_of_parents(trace(store, "foreign"))
    assert found["value.outputs"] == {"value.inputs"}
    assert found["value.inputs"] == set()
