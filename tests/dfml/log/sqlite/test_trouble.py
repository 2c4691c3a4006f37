"""What the SQLite log makes of crashes, full disks, locks, damage and users without rights."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfml.errors import LogError, LogReadOnlyError, LogUnavailableError
from dfml.log.sqlite import SqliteLog
from dfml.log.sqlite.file import translate
from dfml.log.sqlite.file_lock import FileLock
from dfml.record import Append
from tests.dfml.log.backends import A0, A1, A, make_sqlite, put, read, values

ROOT = Path(__file__).parents[3]
NOBODY = 65534


class TestAnotherUser:
    """Who may read the log's folder and not write it."""

    @pytest.fixture
    def guarded(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with make_sqlite(folder / "log.db") as log:
                put(log, A0, b"v")
            for file in folder.iterdir():
                file.chmod(0o444)
            folder.chmod(0o555)
            user = os.geteuid()
            if user == 0:  # who may write everything
                os.seteuid(NOBODY)
            yield folder / "log.db"
            os.seteuid(user)
            folder.chmod(0o755)

    def test_can_read_it(self, guarded: Path) -> None:
        with SqliteLog(guarded, read_only=True) as log:
            assert values(read(log, A0)) == [b"v"]

    def test_is_told_that_it_cannot_be_written(self, guarded: Path) -> None:
        with pytest.raises(LogReadOnlyError, match="open it read-only|may not write"):
            SqliteLog(guarded)


class TestCrashes:
    WRITE_PAIRS = """if True:
        import os, sys; from dfml.log import Commit, open_log; from dfml.record import Append, TopicPartition
        from dfml.settings import Settings
        log = open_log(Settings(log='sqlite:///' + sys.argv[1]))
        for number in range(int(sys.argv[2]), 10**9):
            value = b'%d' % number
            log.append([Append('a', 0, b'k', value), Append('a', 1, b'k', value)],
                       [Commit('g', {TopicPartition('a', 0): number})])
            os.write(1, value + b'\\n')
        """

    def test_a_killed_writer_loses_no_acknowledged_unit_and_leaves_no_half_one(self, path: Path) -> None:
        n_written = 0
        with make_sqlite(path) as log:
            for n_acknowledged in (1, 40, 300, 700, 25, 1200):
                n_written = self._write_until_killed(path, n_written, n_acknowledged)
                pairs = [values(read(log, place)) for place in (A0, A1)]
                assert pairs[0] == pairs[1] == [b"%d" % number for number in range(len(pairs[0]))]
                assert len(pairs[0]) >= n_written
                assert log.committed("g", [A0]) == {A0: len(pairs[0]) - 1}
                n_written = len(pairs[0])

    def _write_until_killed(self, path: Path, first: int, n_acknowledged: int) -> int:
        """Return how many units were acknowledged in all."""
        command = [sys.executable, "-c", self.WRITE_PAIRS, str(path), str(first)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(n_acknowledged):
                last = process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            whole = [line for line in [last, *process.stdout] if line.endswith(b"\n")]
            return int(whole[-1]) + 1

    def test_a_process_that_dies_while_it_holds_the_lock_does_not_keep_it(self, path: Path) -> None:
        hold = (
            "import sys; from dfml.log.sqlite.file_lock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire(1)"
        )
        with make_sqlite(path) as log:
            command = [sys.executable, "-c", f"{hold}; print(flush=True); sys.stdin.read()", f"{path}-lock"]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
                assert process.stdout is not None
                process.stdout.readline()
                threading.Timer(0.05, process.kill).start()
                put(log, A0, b"v")
            assert values(read(log, A0)) == [b"v"]


class TestTrouble:
    def test_a_full_disk_is_said_and_gone_when_there_is_space_again(self, path: Path) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        n_written = 0
        with make_sqlite(path) as log:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
            try:
                with pytest.raises(LogUnavailableError, match="free space|file-size limits"):
                    for _ in range(1000):
                        log.append([Append(A, 0, b"k", b"x" * 50_000), Append(A, 1, b"k", b"")])
                        n_written += 1
                assert len(read(log, A0)) == len(read(log, A1)) == n_written > 0
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            put(log, A0, b"space again")
            assert len(read(log, A0)) == n_written + 1

    def test_a_full_database_is_unavailable(self, path: Path) -> None:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA max_page_count = 2")
        with pytest.raises(sqlite3.Error) as caught:
            connection.executescript("CREATE TABLE a (x); CREATE TABLE b (x);")
        connection.close()
        error = translate(caught.value, path)
        assert isinstance(error, LogUnavailableError)
        assert "the disk is full" in str(error)

    def test_a_lock_held_too_long_by_a_process_is_unavailable(self, path: Path) -> None:
        make_sqlite(path).close()
        holder = FileLock(Path(f"{path}-lock"))
        with SqliteLog(path, lock_timeout_s=0.05) as log:
            assert holder.acquire(1)
            with pytest.raises(LogUnavailableError, match=r"another process held its lock for 0\.05 s"):
                put(log, A0, b"refused")
            holder.close()
            put(log, A0, b"v")
            assert values(read(log, A0)) == [b"v"]

    def test_a_lock_that_was_not_to_be_had_is_tried_more_briefly_until_it_is(self, path: Path) -> None:
        make_sqlite(path).close()
        holder = FileLock(Path(f"{path}-lock"))
        with SqliteLog(path, lock_timeout_s=0.5) as log:
            for asked_s in ("0.5", "0.2", "0.2"):
                assert holder.acquire(1)
                with pytest.raises(LogUnavailableError, match=rf"held its lock for {asked_s} s"):
                    put(log, A0, b"refused")
            holder.release()
            put(log, A0, b"v")
            assert holder.acquire(1)
            with pytest.raises(LogUnavailableError, match=r"held its lock for 0\.5 s"):
                put(log, A0, b"refused")
            holder.close()

    def test_a_file_locked_too_long_by_a_program_is_unavailable(self, path: Path) -> None:
        make_sqlite(path).close()
        foreign = sqlite3.connect(path, isolation_level=None)
        with SqliteLog(path, lock_timeout_s=0.05) as log:
            foreign.execute("BEGIN IMMEDIATE")
            with pytest.raises(LogUnavailableError, match="another program locked it for too long"):
                put(log, A0, b"refused")
            foreign.close()
            put(log, A0, b"v")
            assert values(read(log, A0)) == [b"v"]

    def test_a_damaged_file_is_said(self, path: Path) -> None:
        with make_sqlite(path) as log:
            log.append([Append(A, 0, b"k", b"x" * 1000) for _ in range(1000)])
        with path.open("r+b") as file:
            file.seek(20 * 8192)
            file.write(os.urandom(100 * 8192))
        with SqliteLog(path) as log, pytest.raises(LogError, match="the file is damaged"):
            read(log, A0)

    def test_what_was_read_before_an_error_is_not_lost(self, path: Path) -> None:
        with make_sqlite(path) as log:
            put(log, A0, b"sound")
            log.append([Append(A, 1, b"k", b"x" * 1000) for _ in range(1000)])
        with path.open("r+b") as file:
            file.seek(20 * 8192)
            file.write(os.urandom(100 * 8192))
        with SqliteLog(path) as log:
            reader = log.reader()
            reader.assign({A0: 0, A1: 0})
            assert values(reader.poll(10_000, 0)) == [b"sound"]
            for _ in range(2):
                with pytest.raises(LogError, match="the file is damaged"):
                    reader.poll(10_000, 0)
            assert reader.positions() == {A0: 1, A1: 0}

    def test_a_value_of_the_wrong_type_is_refused(self, path: Path) -> None:
        with make_sqlite(path) as log:
            with pytest.raises(LogError, match="cannot store TEXT value in BLOB column"):
                log.append([Append(A, 0, b"k", "text")])  # type: ignore[arg-type]
            assert read(log, A0) == []
