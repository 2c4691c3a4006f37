"""Rules of the SQLite log in particular: opening, reading, cleaning, other processes."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dfml.clock import wall_clock_ms
from dfml.errors import FencedError, LogError, LogReadOnlyError
from dfml.log import Cleanup, Commit, TopicConfig, open_log
from dfml.log.sqlite import SqliteLog
from dfml.log.sqlite import reader as sqlite_reader
from dfml.log.sqlite.file import Durability
from dfml.log.sqlite.writer import Writer
from dfml.record import Append
from dfml.settings import Settings
from tests.dfml.log.backends import A0, A1, B0, A, B, make_sqlite, put, read, take, until, values

ROOT = Path(__file__).parents[3]


class TestOpening:
    def test_the_url_names_a_relative_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        open_log(Settings(log="sqlite:///deep/er/log.db")).close()
        assert (tmp_path / "deep" / "er" / "log.db").is_file()

    def test_the_url_names_an_absolute_path(self, path: Path) -> None:
        open_log(Settings(log=f"sqlite:///{path}")).close()
        assert path.is_file()

    def test_characters_of_urls_are_characters_of_the_path(self, tmp_path: Path) -> None:
        with open_log(Settings(log=f"sqlite:///{tmp_path}/a%20b?c#d.db")) as log:
            log.create_topics([TopicConfig(A)])
        assert (tmp_path / "a%20b?c#d.db").is_file()

    @pytest.mark.parametrize(("durability", "synchronous"), [("normal", 1), ("full", 2)])
    def test_durability_full_waits_for_the_disk(self, path: Path, durability: Durability, synchronous: int) -> None:
        writer = Writer(path, durability, 1.0, wall_clock_ms)
        with writer.unit() as cursor:
            assert cursor.execute("PRAGMA synchronous").fetchone() == (synchronous,)
        writer.close()

    def test_a_folder_that_cannot_be_made_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(LogError, match="its folder cannot be created"):
            SqliteLog(tmp_path / "file" / "log.db")

    def test_a_folder_is_no_log(self, tmp_path: Path) -> None:
        with pytest.raises(LogError, match="check the path"):
            SqliteLog(tmp_path)

    @pytest.mark.parametrize("read_only", [False, True])
    def test_a_file_that_is_no_database_is_left_alone(self, path: Path, read_only: bool) -> None:
        path.write_text("Dear diary, " * 1000)
        with pytest.raises(LogError, match="is not a dfml log"):
            SqliteLog(path, read_only=read_only)
        assert path.read_text().startswith("Dear diary")

    @pytest.mark.parametrize("read_only", [False, True])
    def test_a_foreign_database_is_left_alone(self, path: Path, read_only: bool) -> None:
        foreign = sqlite3.connect(path)
        foreign.execute("CREATE TABLE theirs (x)")
        foreign.close()
        before = path.read_bytes()
        with pytest.raises(LogError, match="is an SQLite file but not a dfml log; choose another path"):
            SqliteLog(path, read_only=read_only)
        assert path.read_bytes() == before

    def test_another_schema_version_is_refused(self, path: Path) -> None:
        make_sqlite(path).close()
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        with pytest.raises(LogError, match=r"has schema version 99, this dfml reads \d"):
            SqliteLog(path)

    def test_processes_that_create_the_same_log_at_once_all_open_it(self, path: Path) -> None:
        script = (
            "import sys; from dfml.log import open_log; from dfml.settings import Settings;"
            " open_log(Settings(log='sqlite:///' + sys.argv[1])).close()"
        )
        started = [subprocess.Popen([sys.executable, "-c", script, str(path)], cwd=ROOT) for _ in range(4)]
        assert [process.wait(30) for process in started] == [0, 0, 0, 0]
        assert make_sqlite(path).topics()


class TestReadOnly:
    def test_a_missing_log_is_not_created(self, path: Path) -> None:
        with pytest.raises(LogError, match="cannot be opened; check the path"):
            SqliteLog(path, read_only=True)
        assert list(path.parent.iterdir()) == []

    def test_everything_can_be_read_while_it_is_written(self, path: Path) -> None:
        with make_sqlite(path) as log, SqliteLog(path, read_only=True) as reading:
            log.append([Append(A, 0, b"k", b"v")], [Commit("g", {A0: 1})])
            assert values(read(reading, A0)) == [b"v"]
            assert reading.committed("g", [A0]) == {A0: 1}

    def test_a_closed_log_can_be_read(self, path: Path) -> None:
        with make_sqlite(path) as log:
            put(log, A0, b"v")
        with SqliteLog(path, read_only=True) as reading:
            assert values(read(reading, A0)) == [b"v"]

    def test_nothing_can_be_written(self, path: Path) -> None:
        make_sqlite(path).close()
        with SqliteLog(path, read_only=True) as log:
            for write in (
                lambda: put(log, A0, b"v"),
                lambda: log.create_topics([TopicConfig(A, 2)]),
                lambda: log.delete_topics([A]),
                lambda: log.join("g", 1),
            ):
                with pytest.raises(LogReadOnlyError, match="opened read-only"):
                    write()


class TestReading:
    def test_what_is_written_is_returned_as_it_will_be_read(self, path: Path) -> None:
        with make_sqlite(path) as log:
            appends = [Append(A, 1, b"k", b"0", (("h", b"v"),)), Append(B, 0, b"", b""), Append(A, 1, b"k", b"1")]
            written = log.write(appends)
            assert sorted(read(log, A1, B0), key=lambda record: record.position) == sorted(
                written, key=lambda record: record.position
            )

    @pytest.mark.parametrize("cleaned", [False, True])
    def test_a_topic_created_again_is_read_from_its_beginning_by_who_had_it_assigned(
        self, path: Path, cleaned: bool
    ) -> None:
        with make_sqlite(path) as log:
            reader = log.reader()
            put(log, A0, b"old", b"old")
            reader.assign({A0: 0, B0: 0})
            assert len(take(reader, 2)) == 2
            put(log, B0, b"other")
            assert values(reader.poll(10, 0)) == [b"other"]
            log.delete_topics([A])
            if cleaned:
                log.clean()
            log.create_topics([TopicConfig(A, 1)])
            put(log, A0, b"new")
            assert values(reader.poll(10, 0)) == [b"new"]

    def test_a_reader_may_wait_for_an_offset_that_is_still_to_come(self, path: Path) -> None:
        with make_sqlite(path) as log:
            reader = log.reader()
            reader.assign({A0: 2})
            put(log, A0, b"0", b"1")
            assert reader.poll(10, 0) == []
            put(log, A0, b"2")
            assert values(reader.poll(10, 0)) == [b"2"]

    def test_there_are_no_offsets_below_zero(self, path: Path) -> None:
        with make_sqlite(path) as log, pytest.raises(LogError, match="offsets begin at 0"):
            log.reader().assign({A0: -1})

    def test_large_records_do_not_come_all_at_once(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite_reader, "POLL_BYTES", 1000)
        with make_sqlite(path) as log:
            put(log, A0, *[b"x" * 400] * 10)
            put(log, A1, b"y" * 5000, b"small")
            reader = log.reader()
            reader.assign({A0: 0, A1: 0})
            polls = [len(reader.poll(100, 0)) for _ in range(6)]
            assert sum(polls) == 12
            assert max(polls) <= 4

    def test_a_poll_that_was_cut_short_does_not_hold_the_wal(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite_reader, "POLL_BYTES", 10)
        with make_sqlite(path) as log:
            reader = log.reader()
            reader.assign({A0: 0})
            put(log, A0, *[b"x" * 100] * 10)
            assert len(reader.poll(10, 0)) == 1
            foreign = sqlite3.connect(path)
            put(log, A0, b"v")
            assert foreign.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
            foreign.close()

    def test_what_is_written_reaches_the_file_while_the_log_is_open(self, path: Path) -> None:
        with make_sqlite(path) as log:
            until(lambda: put(log, A0, b"x" * 1000) and path.stat().st_size > 200_000)
            assert len(read(log, A0)) >= 100

    def test_what_a_group_does_reaches_the_file_too(self, path: Path) -> None:
        with make_sqlite(path) as log:
            member = log.join("g", 2)
            until(lambda: member.poll() == {0, 1} and _members_in_file(path) == [(member.member,)])
            assert log.topics()


def _members_in_file(path: Path) -> list[tuple[str]]:
    """Return what who does not look into the WAL sees."""
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        return connection.execute("SELECT name FROM members").fetchall()
    except sqlite3.Error:  # the pages are being moved
        return []
    finally:
        connection.close()


class TestCleaning:
    def test_the_records_of_a_deleted_topic_leave_the_file(self, path: Path) -> None:
        with SqliteLog(path) as log:
            log.create_topics([TopicConfig(A, 2), TopicConfig(B)])
            log.append([Append(A, number % 2, b"k", b"v") for number in range(1000)])
            put(log, B0, b"kept")
            log.delete_topics([A])
            log.clean()
        connection = sqlite3.connect(path)
        assert connection.execute("SELECT value FROM records").fetchall() == [(b"kept",)]
        assert connection.execute("SELECT count(*) FROM partitions").fetchone() == (1,)
        connection.close()

    def test_only_the_newest_record_of_each_key_is_left(self, path: Path) -> None:
        with SqliteLog(path) as log:
            log.create_topics([TopicConfig(A, cleanup=Cleanup.COMPACT)])
            log.append([Append(A, 0, b"%d" % (number % 3), b"%d" % number) for number in range(1000)])
            log.clean()
            assert values(read(log, A0)) == [b"997", b"998", b"999"]

    def test_the_offset_for_a_time_is_right_where_the_youngest_record_was_removed(self, path: Path) -> None:
        with SqliteLog(path) as log:
            log.create_topics([TopicConfig(A, cleanup=Cleanup.COMPACT)])
            written = [(b"k", 1000), (b"l", 500), (b"k", 600), (b"m", 900)]
            log.append([Append(A, 0, key, b"v", timestamp_ms=time_ms) for key, time_ms in written])
            log.clean()
            offsets = {time_ms: log.offsets_at([A0], time_ms)[A0] for time_ms in (500, 550, 601, 950)}
            assert offsets == {500: 1, 550: 2, 601: 3, 950: 4}

    def test_a_deleted_key_is_forgotten_after_a_day(self, path: Path) -> None:
        now_ms = 10**12
        with SqliteLog(path, clock=lambda: now_ms) as log:
            log.create_topics([TopicConfig(A, cleanup=Cleanup.COMPACT)])
            put(log, A0, b"v", b"")
            log.clean()
            assert values(read(log, A0)) == [b""]
            now_ms += 25 * 3600 * 1000
            log.clean()
            assert read(log, A0) == []

    def test_cleaning_happens_by_itself(self, path: Path) -> None:
        now_ms = 10**12
        with SqliteLog(path, clock=lambda: now_ms) as log:
            log.create_topics([TopicConfig(A, retention_ms=1000), TopicConfig(B, cleanup=Cleanup.COMPACT)])
            put(log, A0, b"v")
            put(log, B0, *[b"v"] * 500)
            now_ms += 5000
            until(lambda: log.beginning([A0, B0]) == {A0: 1, B0: 499})
            assert read(log, A0) == []


def test_a_live_member_cannot_commit_what_belongs_to_another(path: Path) -> None:
    with make_sqlite(path) as log:
        old = log.join("g", 2)
        assert old.poll() == {0, 1}
        new = log.join("g", 2)
        assert (old.poll(), new.poll()) == ({0}, set())
        log.append([], [Commit("g", {A1: 7}, old.member, old.generation)])  # told, but it has not yet let go
        assert (old.poll(), new.poll()) == ({0}, {1})
        with pytest.raises(FencedError, match=r"a\[1\] cannot be committed by .* belongs to .* now"):
            log.append([], [Commit("g", {A1: 1}, old.member, old.generation)])
        assert log.committed("g", [A1]) == {A1: 7}


def test_topics_beyond_the_shared_numbers_need_no_owner(path: Path) -> None:
    with make_sqlite(path) as log:
        member = log.join("g", 1)
        log.append([], [Commit("g", {A1: 1}, member.member, member.generation)])
        assert log.committed("g", [A1]) == {A1: 1}


def test_a_waiting_poll_learns_of_another_process(path: Path) -> None:
    script = (
        "import sys; from dfml.log import open_log; from dfml.record import Append; from dfml.settings import Settings;"
        " open_log(Settings(log='sqlite:///' + sys.argv[1])).append([Append('a', 0, b'k', b'from afar')])"
    )
    with make_sqlite(path) as log:
        reader = log.reader()
        reader.assign({A0: 0})
        with subprocess.Popen([sys.executable, "-c", script, str(path)], cwd=ROOT):
            assert values(reader.poll(10, 30)) == [b"from afar"]


def test_writers_in_several_processes_share_one_log(path: Path) -> None:
    script = """if True:
        import sys; from dfml.log import open_log; from dfml.record import Append; from dfml.settings import Settings
        with open_log(Settings(log='sqlite:///' + sys.argv[1])) as log:
            for number in range(300):
                log.append([Append('a', 0, b'k', b'%s:%d' % (sys.argv[2].encode(), number))])
        """
    with make_sqlite(path) as log:
        started = [
            subprocess.Popen([sys.executable, "-c", script, str(path), name], cwd=ROOT) for name in ("p", "q", "r")
        ]
        assert [process.wait(30) for process in started] == [0, 0, 0]
        found = values(read(log, A0))
    for name in (b"p", b"q", b"r"):
        assert [value for value in found if value.startswith(name)] == [b"%s:%d" % (name, n) for n in range(300)]
    assert len(found) == 900
