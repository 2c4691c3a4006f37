"""The store: each record once, every attribute as it was, errors of the file told as ours."""

import os
import resource
import sqlite3
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfml import headers as h
from dfml.errors import ConflictError, LogError, LogReadOnlyError, LogUnavailableError, NotFoundError
from dfml.lineage.entry import (
    Kind,
    pack_headers,
    pack_parents,
    unpack_headers,
    unpack_parents,
)
from dfml.lineage.lookup import request_entries, request_fates
from dfml.lineage.rows import Kept
from dfml.lineage.store import LineageStore
from dfml.record import Append, Position, Record, TopicPartition
from dfml.topics import Topics

TOPICS = Topics()


def a_record(offset=0, headers=(), **given):
    made = {
        "topic": TOPICS.model_outputs("value"),
        "partition": 3,
        "offset": offset,
        "key": b"r1",
        "value": b"payload",
        "headers": tuple(headers),
        "timestamp_ms": 1_700_000_000_000 + offset,
    }
    return Record(**{**made, **given})


@contextmanager
def file_size_limit(n_bytes):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_record_comes_back_with_everything_it_had(store):
    parents = (Position(TOPICS.model_inputs("value"), 3, 7), Position(TOPICS.pipeline_inputs("p"), 1, 2))
    record = a_record(
        headers=[
            ("pipeline", b"p"),
            ("x-pipeline-version", b"4"),
            ("x-request-id", b"r1"),
            ("x-colour", b"\xff\x00blue"),
            (h.STEP, b"value"),
            (h.VISIT, b"2"),
            (h.QUEUE_US, b"15"),
            (h.SERVICE_US, b"250"),
            (h.PARENTS, h.encode_parents(parents, 3, TOPICS)),
        ]
    )
    store.write([record])
    (entry,) = request_entries(store, "r1")
    assert (entry.position, entry.timestamp_ms) == (record.position, record.timestamp_ms)
    assert (entry.pipeline, entry.version, entry.step, entry.visit) == ("p", 4, "value", 2)
    assert (entry.queue_us, entry.service_us, entry.kind) == (15, 250, Kind.STEP_OUTPUTS)
    assert entry.parents == parents
    assert entry.payload == b"payload"
    assert entry.headers == (("x-colour", b"\xff\x00blue"),)


def test_a_record_written_twice_is_there_once(store):
    records = [a_record(offset) for offset in range(3)]
    store.write(records)
    store.write(records[1:])
    assert store.counts().n_records == 3


def test_positions_are_committed_with_the_rows(store):
    store.write([a_record(5), a_record(6)])
    assert store.positions() == {TopicPartition(TOPICS.model_outputs("value"), 3): 7}


def test_headers_that_a_record_has_of_its_own_do_not_become_its_siblings(store):
    common = [("x-request-id", b"r1"), ("x-colour", b"blue")]
    store.write([a_record(0, common), a_record(1, [*common, ("x-colour", b"red")]), a_record(2)])
    assert [entry.headers for entry in request_entries(store, "r1")] == [
        (("x-colour", b"blue"),),
        (("x-colour", b"blue"), ("x-colour", b"red")),
        (),
    ]


def test_a_foreign_record_is_kept_under_the_request_of_its_key(store):
    store.write([a_record(0, key=b"2.value.abc-1"), a_record(1, key=b"abc-1")])
    entries = request_entries(store, "abc-1")
    assert [(entry.step, entry.pipeline, entry.parents) for entry in entries] == [("value", "", ())] * 2


def test_a_damaged_parents_header_costs_the_parents_not_the_record(store, caplog):
    store.write([a_record(0, [(h.PARENTS, b"nonsense"), ("x-request-id", b"r1")])])
    assert request_entries(store, "r1")[0].parents == ()
    assert "nonsense" in caplog.text


def test_a_damaged_fate_or_spec_is_passed_over_and_said(store, caplog):
    store.write(
        [
            a_record(0, topic=TOPICS.fates, value=b"{", headers=[(h.PARENTS, b"model.value.outputs@0")]),
            a_record(0, topic=TOPICS.specs, value=b"[1]", key=b"Pipeline/p"),
        ]
    )
    assert request_fates(store, "r1") == []
    assert store.specs() == []
    assert caplog.text.count("left out") == 2


def test_specs_are_kept_with_every_version_and_their_deletion(store, pen, tap_all):
    pen.load(version=1)
    pen.load(version=2)
    pen.log.append([Append(pen.topics.specs, 0, b"Pipeline/claims/1", b"")])
    tap_all()
    assert [(spec.version, bool(spec.document)) for spec in store.specs(name="claims")] == [
        (1, True),
        (2, True),
        (1, False),
    ]


def test_a_payload_over_the_limit_is_not_kept_and_says_how_long_it_was(tmp_path):
    with LineageStore(tmp_path / "l.db", kept=Kept(limit_bytes=10)) as store:
        store.write([a_record(0, value=b"x" * 11), a_record(1, value=b"x" * 10), a_record(2, value=b"")])
        found = [(entry.payload, entry.payload_bytes) for entry in request_entries(store, "r1")]
    assert found == [(None, 11), (b"x" * 10, 10), (b"", 0)]


def test_sampling_keeps_a_requests_payloads_all_or_none_and_every_parent(tmp_path):
    parent = h.encode_parents([Position(TOPICS.pipeline_inputs("p"), 3, 0)], 3, TOPICS)
    records = [
        a_record(2 * number + again, [(h.PARENTS, parent)], key=f"r{number}".encode())
        for number in range(200)
        for again in (0, 1)
    ]
    with LineageStore(tmp_path / "l.db", kept=Kept(share=0.3)) as store:
        store.write(records)
        found = [request_entries(store, f"r{number}") for number in range(200)]
    assert all(len({entry.payload for entry in entries}) == 1 for entries in found)
    assert all(len(entry.parents) == 1 for entries in found for entry in entries)
    # 60 of 200 expected; 4.5 standard deviations of the binomial are 29.
    assert 31 <= sum(entries[0].payload is not None for entries in found) <= 89


def test_a_second_writer_is_refused(tmp_path, store):
    with pytest.raises(LogUnavailableError, match="one writer"):
        LineageStore(store.path)


def test_a_store_of_another_namespace_is_refused(tmp_path):
    LineageStore(tmp_path / "l.db", topics=Topics("seldon", "first")).close()
    with pytest.raises(ConflictError, match=r"holds seldon\.first"):
        LineageStore(tmp_path / "l.db", topics=Topics("seldon", "second"))


def test_a_reader_sees_what_is_written_while_it_is_open_and_cannot_write(store):
    with LineageStore(store.path, read_only=True) as reader:
        store.write([a_record(0)])
        assert len(request_entries(reader, "r1")) == 1
        with pytest.raises(LogReadOnlyError, match="reading only"):
            reader.write([a_record(1)])


def test_reading_a_store_that_is_not_there_says_who_makes_it(tmp_path):
    with pytest.raises(NotFoundError, match="the tap makes it"):
        LineageStore(tmp_path / "none.db", read_only=True)
    (tmp_path / "empty.db").touch()
    with pytest.raises(NotFoundError, match="not begun to write"):
        LineageStore(tmp_path / "empty.db", read_only=True)


def test_another_file_is_no_store(tmp_path):
    (tmp_path / "text.db").write_text("hello " * 1000)
    with pytest.raises(LogError, match="not a database"):
        LineageStore(tmp_path / "text.db", read_only=True)
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE t(x)").connection.close()
    with pytest.raises(LogError, match="expected a lineage store"):
        LineageStore(tmp_path / "other.db", read_only=True)


def test_a_full_disk_writes_nothing_and_the_same_call_works_when_there_is_room(store):
    records = [a_record(offset, value=os.urandom(4000), key=f"r{offset}".encode()) for offset in range(500)]
    store.write(records[:1])
    with (
        file_size_limit(store.path.with_name("lineage.db-wal").stat().st_size + 100_000),
        pytest.raises(LogUnavailableError, match="nothing was written"),
    ):
        store.write(records)
    assert store.counts().n_records == 1
    store.write(records)
    assert store.counts().n_records == 500
    assert store.positions() == {records[0].position._replace(offset=0)[:2]: 500}


def test_a_topic_made_again_does_not_hide_its_new_records_behind_the_old(store):
    place = TopicPartition(TOPICS.model_outputs("value"), 3)
    store.write([a_record(0, value=b"old")])
    store.write([a_record(0, value=b"new")], again=[place])
    assert [entry.payload for entry in request_entries(store, "r1")] == [b"old", b"new"]
    assert store.positions() == {place: 1}


@given(st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=50)), max_size=5))
def test_headers_survive_packing(headers):
    assert unpack_headers(pack_headers(headers)) == tuple(headers)


@given(st.lists(st.integers(0, 2**62), max_size=6))
def test_parents_survive_packing(ids):
    assert unpack_parents(pack_parents(ids)) == tuple(ids)


def test_a_snapshot_sees_nothing_of_what_is_written_meanwhile(store):
    store.write([a_record(0)])
    with LineageStore(store.path, read_only=True) as reading:
        with reading.snapshot():
            assert reading.counts().n_records == 1
            store.write([a_record(1)])
            with reading.snapshot():
                assert reading.counts().n_records == 1
        assert reading.counts().n_records == 2
