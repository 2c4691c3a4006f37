"""What every log promises of topics, records and positions; nothing here knows which one it runs on.

Offsets may have gaps, so tests compare them only with what the log itself returned.
"""

import threading
from collections.abc import Callable

import pytest

from dfml.errors import BadInputError, ConflictError, LogError, UnknownTopicError
from dfml.log import Cleanup, Commit, Log, TopicConfig
from dfml.record import Append, TopicName, TopicPartition
from tests.dfml.log.backends import A0, A1, B0, A, B, Backend, put, read, take, until, values


@pytest.fixture(autouse=True)
def _topics(log: Log) -> None:
    log.create_topics([TopicConfig(A, 2), TopicConfig(B, 1)])


class TestTopics:
    def test_created_topics_are_listed_with_their_configuration(self, log: Log) -> None:
        config = TopicConfig(TopicName("kept.short"), 3, 60_000, Cleanup.COMPACT)
        log.create_topics([config])
        assert log.topics()[config.name] == config

    def test_creating_an_existing_topic_keeps_its_records(self, log: Log) -> None:
        put(log, A0, b"kept")
        log.create_topics([TopicConfig(A, 2)])
        assert values(read(log, A0)) == [b"kept"]

    def test_another_partition_count_is_a_conflict_and_creates_nothing(self, log: Log) -> None:
        with pytest.raises(ConflictError, match="topic 'a' exists with 2 partitions, expected 3"):
            log.create_topics([TopicConfig(TopicName("new")), TopicConfig(A, 3)])
        assert "new" not in log.topics()

    def test_a_topic_needs_a_partition(self, log: Log) -> None:
        with pytest.raises(BadInputError, match="got 0 partitions, expected at least 1"):
            log.create_topics([TopicConfig(TopicName("none"), 0)])

    def test_a_deleted_topic_is_unknown(self, log: Log, other: Log) -> None:
        log.delete_topics([A, TopicName("never there")])
        assert A not in log.topics()
        assert A not in other.topics()
        with pytest.raises(UnknownTopicError, match="'a' does not exist"):
            put(other, A0, b"v")

    def test_a_topic_created_again_has_no_old_record_or_position(self, log: Log) -> None:
        log.append([Append(A, 0, b"k", b"old")], [Commit("g", {A0: 1})])
        log.delete_topics([A])
        log.create_topics([TopicConfig(A, 4)])
        assert log.beginning([A0]) == log.end([A0])
        assert log.committed("g", [A0]) == {}
        put(log, A0, b"new")
        assert values(read(log, A0)) == [b"new"]

    def test_topics_of_another_client_can_be_used_at_once(self, log: Log, other: Log) -> None:
        fresh = TopicPartition(TopicName("fresh"), 0)
        put(other, A0, b"before")
        log.create_topics([TopicConfig(fresh.topic)])
        put(other, fresh, b"v")
        assert values(read(log, fresh)) == [b"v"]


class TestAppend:
    def test_a_record_comes_back_as_it_was_written(self, log: Log, backend: Backend) -> None:
        headers = (("x-a", b"1"), ("x-a", b""), ("größe", bytes(range(256)) * 2))
        written = Append(A, 1, b"\x00key", b"\xff" * 300_000, headers)
        positions, now_ms = log.append([written]), backend.now_ms()
        (record,) = read(log, A1)
        assert (record.key, record.value, record.headers) == (written.key, written.value, headers)
        assert [record.position] == positions
        assert abs(record.timestamp_ms - now_ms) < 60_000

    def test_a_given_timestamp_is_kept(self, log: Log) -> None:
        log.append([Append(A, 0, b"k", b"v", timestamp_ms=12_345)])
        assert [record.timestamp_ms for record in read(log, A0)] == [12_345]

    def test_empty_keys_values_and_headers_are_records(self, log: Log) -> None:
        log.append([Append(A, 0, b"", b"")])
        assert [(record.key, record.value, record.headers) for record in read(log, A0)] == [(b"", b"", ())]

    def test_positions_come_in_the_order_of_the_appends(self, log: Log) -> None:
        appends = [Append(topic, number, b"k", b"v") for topic, number in (A0, B0, A1, A0, B0, A0)]
        positions = log.append(appends)
        assert [position[:2] for position in positions] == [(append.topic, append.partition) for append in appends]
        assert {record.position for record in read(log, A0, A1, B0)} == set(positions)
        assert positions[0].offset < positions[3].offset < positions[5].offset

    def test_records_of_a_partition_are_read_in_the_order_of_their_appends(self, log: Log, other: Log) -> None:
        for number in range(0, 60, 3):
            put(log, A0, b"%d" % number, b"%d" % (number + 1))
            put(other, A0, b"%d" % (number + 2))
        records = read(log, A0)
        assert values(records) == [b"%d" % number for number in range(60)]
        offsets = [record.offset for record in records]
        assert offsets == sorted(set(offsets))

    @pytest.mark.parametrize("unknown", [TopicPartition(TopicName("c"), 0), TopicPartition(A, 2)])
    def test_an_unknown_place_writes_nothing_of_the_unit(self, log: Log, unknown: TopicPartition) -> None:
        appends = [Append(A, 0, b"k", b"v"), Append(unknown.topic, unknown.partition, b"k", b"v")]
        with pytest.raises(UnknownTopicError, match="does not exist"):
            log.append(appends, [Commit("g", {B0: 1})])
        assert read(log, A0) == []
        assert log.committed("g", [B0]) == {}

    def test_a_position_of_an_unknown_topic_writes_nothing_of_the_unit(self, log: Log) -> None:
        unknown = TopicPartition(TopicName("c"), 0)
        with pytest.raises(UnknownTopicError, match="'c' does not exist"):
            log.append([Append(A, 0, b"k", b"v")], [Commit("g", {B0: 1, unknown: 1})])
        assert read(log, A0) == []
        assert log.committed("g", [B0]) == {}

    def test_the_log_goes_on_after_a_refused_unit(self, log: Log) -> None:
        with pytest.raises(UnknownTopicError):
            log.append([Append(A, 0, b"k", b"refused"), Append(TopicName("c"), 0, b"k", b"v")])
        put(log, A0, b"next")
        assert values(read(log, A0)) == [b"next"]

    def test_what_belongs_to_a_unit_is_there_once_any_of_it_is_seen(self, log: Log, other: Log) -> None:
        n_units = 200
        writer = threading.Thread(target=_append_pairs, args=(log, n_units))
        reader = other.reader()
        reader.assign({A1: 0})
        writer.start()
        n_seen = 0
        while n_seen < n_units:
            seen = take(reader, 1)
            n_seen += len(seen)
            pair = int(seen[-1].value)
            assert other.end([A0])[A0] > pair
            assert other.committed("g", [A0])[A0] >= pair
        writer.join()

    def test_threads_may_append_to_one_log(self, log: Log) -> None:
        threads = [threading.Thread(target=_append_numbers, args=(log, b"%d" % name)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = values(read(log, A0))
        assert sorted(found) == sorted(b"%d:%d" % (name, number) for name in range(4) for number in range(50))
        assert [value for value in found if value.startswith(b"2:")] == [b"2:%d" % number for number in range(50)]


def _append_pairs(log: Log, n_units: int) -> None:
    for number in range(n_units):
        value = b"%d" % number
        log.append([Append(A, 0, b"k", value), Append(A, 1, b"k", value)], [Commit("g", {A0: number})])


def _append_numbers(log: Log, name: bytes) -> None:
    for number in range(50):
        put(log, A0, b"%s:%d" % (name, number))


class TestReader:
    def test_a_poll_returns_no_more_than_it_was_asked_for(self, log: Log) -> None:
        put(log, A0, *[b"v"] * 10)
        reader = log.reader()
        reader.assign(log.beginning([A0]))
        until(lambda: len(reader.poll(3, 0.05)) == 3)
        assert len(take(reader, 7, at_once=3)) == 7

    def test_a_poll_without_time_returns_at_once(self, log: Log) -> None:
        reader = log.reader()
        assert reader.poll(10, 0) == []
        reader.assign({A0: 0})
        assert reader.poll(10, 0) == []

    @pytest.mark.parametrize("client", ["log", "other"])
    def test_a_waiting_poll_returns_what_is_appended_meanwhile(
        self, log: Log, client: str, request: pytest.FixtureRequest
    ) -> None:
        writer: Log = request.getfixturevalue(client)
        reader = log.reader()
        reader.assign({A0: 0})
        timer = threading.Timer(0.05, put, args=(writer, A0, b"news"))
        timer.start()
        assert values(reader.poll(10, 30)) == [b"news"]
        timer.join()

    def test_a_reader_begins_at_the_offset_that_it_is_given(self, log: Log) -> None:
        positions = put(log, A0, b"0", b"1", b"2")
        reader = log.reader()
        reader.assign({A0: positions[1].offset})
        assert values(take(reader, 2)) == [b"1", b"2"]

    def test_assigning_again_moves_the_reader(self, log: Log) -> None:
        positions = put(log, A0, b"0", b"1", b"2")
        reader = log.reader()
        reader.assign({A0: 0})
        assert values(take(reader, 3)) == [b"0", b"1", b"2"]
        reader.assign({A0: positions[2].offset})
        assert values(take(reader, 1)) == [b"2"]

    def test_records_that_a_reader_is_moved_past_are_not_read(self, log: Log) -> None:
        reader = log.reader()
        reader.assign({A0: 0, A1: 0})
        skipped = put(log, A0, b"handed on from memory")
        reader.assign({A0: skipped[-1].offset + 1})
        put(log, A0, b"next")
        put(log, A1, b"other")
        assert sorted(values(take(reader, 2))) == [b"next", b"other"]

    def test_an_unassigned_partition_is_not_read(self, log: Log) -> None:
        reader = log.reader()
        reader.assign({A0: 0, A1: 0})
        put(log, A0, b"unwanted")
        put(log, A1, b"wanted")
        reader.unassign([A0, B0])
        assert values(take(reader, 1)) == [b"wanted"]
        assert list(reader.positions()) == [A1]

    @pytest.mark.parametrize("unknown", [TopicPartition(TopicName("c"), 0), TopicPartition(A, 2)])
    def test_an_unknown_place_cannot_be_assigned(self, log: Log, unknown: TopicPartition) -> None:
        reader = log.reader()
        with pytest.raises(UnknownTopicError, match="does not exist"):
            reader.assign({A0: 0, unknown: 0})
        assert reader.positions() == {}

    def test_positions_follow_what_was_read(self, log: Log) -> None:
        positions = put(log, A0, b"0", b"1", b"2")
        reader = log.reader()
        reader.assign({A0: positions[0].offset, A1: 0})
        assert reader.positions() == {A0: positions[0].offset, A1: 0}
        take(reader, 3)
        assert reader.positions()[A0] > positions[2].offset

    def test_a_full_partition_does_not_starve_another(self, log: Log) -> None:
        log.append([Append(A, 0, b"k", b"many" * 256) for _ in range(3000)])
        put(log, A1, b"one")
        reader = log.reader()
        reader.assign({A0: 0, A1: 0})
        seen = [values(take(reader, 1, at_once=50)) for _ in range(40)]
        assert any(b"one" in polled for polled in seen)

    def test_readers_do_not_disturb_each_other(self, log: Log) -> None:
        put(log, A0, b"0", b"1")
        first, second = log.reader(), log.reader()
        for reader in (first, second):
            reader.assign({A0: 0})
        assert values(take(first, 2)) == values(take(second, 2)) == [b"0", b"1"]

    def test_a_closed_reader_says_so(self, log: Log) -> None:
        reader = log.reader()
        reader.close()
        with pytest.raises(LogError, match="closed"):
            reader.poll(1, 0)


class TestOffsets:
    def test_an_empty_partition_begins_at_its_end(self, log: Log) -> None:
        assert log.beginning([A0, B0]) == log.end([A0, B0])

    def test_the_end_is_behind_the_last_record(self, log: Log) -> None:
        positions = put(log, A0, b"0", b"1")
        assert log.beginning([A0])[A0] <= positions[0].offset
        assert log.end([A0])[A0] > positions[1].offset
        assert log.end([A1])[A1] == log.beginning([A1])[A1]

    def test_the_offset_for_a_time_is_the_first_record_from_then_on(self, log: Log, backend: Backend) -> None:
        times, positions = [], []
        for _ in range(5):
            times.append(backend.now_ms())
            positions += put(log, A0, b"v", b"v")
            backend.pass_ms(1000)
        for number, time_ms in enumerate(times):
            assert log.offsets_at([A0], time_ms)[A0] == positions[2 * number].offset
            assert log.offsets_at([A0], time_ms - 500)[A0] == positions[2 * number].offset
        assert log.offsets_at([A0, A1], times[-1] + 500) == log.end([A0, A1])

    def test_the_offset_for_a_time_does_not_need_sorted_timestamps(self, log: Log) -> None:
        times = [500, 100, 300, 700, 200, 600]
        positions = log.append([Append(A, 0, b"k", b"v", timestamp_ms=time_ms) for time_ms in times])
        first = {time_ms: next(n for n, at in enumerate(times) if at >= time_ms) for time_ms in (1, 500, 501, 700)}
        for time_ms, number in first.items():
            assert log.offsets_at([A0], time_ms)[A0] == positions[number].offset

    @pytest.mark.parametrize("ask", [Log.beginning, Log.end])
    def test_offsets_of_unknown_places_are_refused(
        self, log: Log, ask: Callable[[Log, list[TopicPartition]], object]
    ) -> None:
        with pytest.raises(UnknownTopicError, match="partition numbers, from 0"):
            getattr(log, ask.__name__)([TopicPartition(A, 2)])


class TestCommittedPositions:
    def test_partitions_without_a_position_are_left_out(self, log: Log) -> None:
        log.append([], [Commit("g", {A0: 3})])
        assert log.committed("g", [A0, A1]) == {A0: 3}
        assert log.committed("another", [A0]) == {}

    def test_the_latest_commit_counts_also_backwards(self, log: Log, other: Log) -> None:
        for client, offset in ((log, 3), (other, 9), (log, 5)):
            client.append([], [Commit("g", {A0: offset, A1: 1})])
            assert other.committed("g", [A0, A1]) == {A0: offset, A1: 1}

    def test_several_groups_commit_in_one_unit(self, log: Log) -> None:
        log.append([Append(B, 0, b"k", b"v")], [Commit("g", {A0: 1}), Commit("h", {A0: 2}), Commit("g", {A1: 4})])
        assert log.committed("g", [A0, A1]) == {A0: 1, A1: 4}
        assert log.committed("h", [A0, A1]) == {A0: 2}

    def test_they_survive_a_new_client(self, log: Log, backend: Backend) -> None:
        log.append([Append(A, 0, b"k", b"v")], [Commit("g", {A0: 1})])
        log.close()
        with backend.open() as again:
            assert again.committed("g", [A0]) == {A0: 1}
            assert values(read(again, A0)) == [b"v"]


class TestCleaning:
    def test_records_past_their_retention_go(self, log: Log, backend: Backend) -> None:
        short = TopicPartition(TopicName("short"), 0)
        log.create_topics([TopicConfig(short.topic, 1, 20_000)])
        for number in range(6):
            put(log, short, *[b"old%d" % number] * 100)
        put(log, A0, b"kept for ever")
        backend.pass_ms(10_000)
        young = put(log, short, b"young")
        backend.pass_ms(11_000)  # the young one has nine seconds left, should the cleaning take long
        backend.clean(log)
        assert values(read(log, short)) == [b"young"]
        assert log.beginning([short])[short] == young[0].offset
        assert values(read(log, A0)) == [b"kept for ever"]

    def test_offsets_are_never_given_twice(self, log: Log, backend: Backend) -> None:
        short = TopicPartition(TopicName("short"), 0)
        log.create_topics([TopicConfig(short.topic, 1, 1000)])
        (old,) = put(log, short, b"old")
        backend.pass_ms(5000)
        backend.clean(log)
        assert log.beginning([short]) == log.end([short])
        (new,) = put(log, short, b"new")
        assert new.offset > old.offset

    def test_compaction_keeps_the_newest_record_of_each_key(self, log: Log, backend: Backend) -> None:
        compact = TopicPartition(TopicName("compact"), 0)
        log.create_topics([TopicConfig(compact.topic, 1, cleanup=Cleanup.COMPACT)])
        written = [(b"%d" % (number % 7), b"%d" % number) for number in range(700)]
        positions = log.append([Append(compact.topic, 0, key, value) for key, value in written])
        backend.clean(log)
        records = read(log, compact)
        assert len(records) < len(written)
        assert [(record.key, record.value) for record in records][-7:] == written[-7:]
        assert [record.position for record in records][-7:] == positions[-7:]

    def test_a_reader_goes_on_where_records_were_removed(self, log: Log, backend: Backend) -> None:
        compact = TopicPartition(TopicName("compact"), 0)
        log.create_topics([TopicConfig(compact.topic, 1, cleanup=Cleanup.COMPACT)])
        reader = log.reader()
        reader.assign({compact: 0})
        log.append([Append(compact.topic, 0, b"k", b"%d" % number) for number in range(500)])
        assert values(take(reader, 1, at_once=1)) == [b"0"]
        backend.clean(log)
        log.append([Append(compact.topic, 0, b"k", b"last")])
        until(lambda: b"last" in values(reader.poll(100, 0.05)))
        until(lambda: reader.poll(1, 0.05) == [] and reader.positions() == log.end([compact]))


class TestClosing:
    @pytest.mark.parametrize(
        "call",
        [
            lambda log: log.append([Append(A, 0, b"k", b"v")]),
            lambda log: log.create_topics([TopicConfig(TopicName("c"))]),
            lambda log: log.delete_topics([A]),
            lambda log: log.topics(),
            lambda log: log.reader(),
            lambda log: log.beginning([A0]),
            lambda log: log.end([A0]),
            lambda log: log.offsets_at([A0], 0),
            lambda log: log.committed("g", [A0]),
            lambda log: log.join("g", 2),
        ],
    )
    def test_every_call_on_a_closed_log_says_so(self, log: Log, call: Callable[[Log], object]) -> None:
        log.close()
        with pytest.raises(LogError, match="closed"):
            call(log)

    def test_closing_twice_does_nothing(self, log: Log) -> None:
        log.close()
        log.close()
        with pytest.raises(LogError, match="closed"):
            log.topics()

    def test_a_poll_that_waits_ends_when_the_log_is_closed(self, log: Log) -> None:
        reader = log.reader()
        reader.assign({A0: 0})
        timer = threading.Timer(0.05, log.close)
        timer.start()
        with pytest.raises(LogError, match="closed"):
            reader.poll(1, 30)
        timer.join()
