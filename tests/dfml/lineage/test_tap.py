"""The tap: every record exactly once, whatever dies, and what was lost is named."""

import os
import resource
import signal
import subprocess
import sys
from threading import Event, Thread
from uuid import uuid4

import pytest

from dfml.errors import LogUnavailableError, NotFoundError
from dfml.lineage.lookup import request_entries
from dfml.lineage.store import LineageStore
from dfml.lineage.tap import Tap
from dfml.lineage.tap_process import main
from dfml.log import TopicConfig, open_log
from dfml.log.sqlite import SqliteLog
from dfml.record import Append, Position
from dfml.settings import Settings
from dfml.topics import Topics

TAP = "dfml.lineage.tap_process"


@pytest.fixture
def start_tap(log, log_url, tmp_path):
    """Start taps as processes on the test's log; those that still run at the end are killed."""
    started = []

    def start(*more):
        command = [sys.executable, "-m", TAP, "--log", log_url, "--store", str(tmp_path / "tapped.db")]
        process = subprocess.Popen([*command, *more], stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def tapped(tmp_path):
    """Count the records in the store of ``start_tap``; 0 while it is being made."""

    def count():
        try:
            with LineageStore(tmp_path / "tapped.db", read_only=True) as store:
                return store.counts().n_records
        except (NotFoundError, LogUnavailableError):
            return 0

    return count


def tap_until_idle(log, store, topics):
    tap = Tap(log, store, topics)
    while tap.step(0.0):
        pass
    tap.close()


def fill(log, topics, n_records, partitions=2):
    topic = topics.pipeline_inputs("p")
    log.create_topics([TopicConfig(topic, partitions=partitions)])
    appends = [Append(topic, n % partitions, b"r%d" % n, b"payload %d" % n) for n in range(n_records)]
    for start in range(0, n_records, 500):
        log.append(appends[start : start + 500])


def test_the_tap_keeps_what_the_log_retains_and_then_what_comes(log, pen, store, topics, tap_all):
    pen.claim("r1", 10.0)
    tap_all()
    before = store.counts().n_records
    pen.claim("r2", 10.0)
    tap_all()
    assert (before, store.counts().n_records) == (8, 16)


def test_a_tap_killed_at_any_time_misses_nothing_and_doubles_nothing(log, topics, start_tap, tapped, wait_until):
    for _ in range(3):
        seen = tapped()
        fill(log, topics, 3000)
        process = start_tap()
        wait_until(lambda seen=seen: tapped() > seen)
        process.send_signal(signal.SIGKILL)
        process.wait()
    fill(log, topics, 10)
    final = start_tap()
    wait_until(lambda: tapped() == 9010)
    final.terminate()
    assert final.wait(20) == 0
    assert tapped() == 9010


def test_a_second_tap_waits_for_the_first_and_takes_over(log, topics, start_tap, tapped, wait_until):
    fill(log, topics, 10)
    first = start_tap()
    wait_until(lambda: tapped() == 10)
    second = start_tap()
    assert "one writer" in second.stderr.readline()
    first.kill()
    fill(log, topics, 20)
    wait_until(lambda: tapped() == 30)
    assert second.poll() is None


def test_sigterm_reads_what_is_there_first(log, topics, start_tap, tapped, wait_until):
    fill(log, topics, 10)
    process = start_tap()
    wait_until(lambda: tapped() == 10)
    fill(log, topics, 8000)
    process.terminate()
    assert process.wait(20) == 0
    assert tapped() == 8010


def test_a_tap_ends_when_its_parent_is_gone_and_leaves_sigint_to_it(log, topics, log_url, tmp_path, wait_until):
    script = (
        "import os, subprocess, sys\n"
        "command = [sys.executable, '-m', *sys.argv[1:], '--parent-pid', str(os.getpid())]\n"
        "child = subprocess.Popen(command)\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    options = [TAP, "--log", log_url, "--store", str(tmp_path / "tapped.db")]
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())
    wait_until((tmp_path / "tapped.db-wal").exists)
    os.kill(child, signal.SIGINT)
    parent.kill()
    parent.communicate()
    wait_until(lambda: not is_running(child))
    assert not is_running(child)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_new_topic_is_read_within_two_seconds(log, pen, store, topics, wait_until):
    tap, stop = Tap(log, store, topics), Event()
    thread = Thread(target=tap.run, args=(stop,))
    thread.start()
    try:
        position = pen.enter("late", {"x": [1.0]})
        wait_until(lambda: request_entries(store, "late"))
    finally:
        stop.set()
        thread.join()
        tap.close()
    assert request_entries(store, "late")[0].position == position


def test_topics_of_other_namespaces_and_membership_are_not_read(log, store, topics, tap_all):
    for name in ("seldon.other.pipeline.p.inputs", topics.workers, topics.status, "free.topic"):
        log.create_topics([TopicConfig(name)])
        log.append([Append(name, 0, b"r", b"v")])
    assert tap_all() == 0


def test_records_gone_before_the_tap_came_back_are_a_named_loss(tmp_path, store, topics):
    now_ms = [1_700_000_000_000]
    topic = topics.pipeline_inputs("p")
    with SqliteLog(tmp_path / "log.db", clock=lambda: now_ms[0]) as log:
        log.create_topics([TopicConfig(topic, retention_ms=60_000)])
        log.append([Append(topic, 0, b"r0", b"v")])
        tap_until_idle(log, store, topics)
        log.append([Append(topic, 0, b"r%d" % n, b"v") for n in (1, 2, 3)])
        now_ms[0] += 120_000
        log.clean()
        log.append([Append(topic, 0, b"r4", b"v")])
        tap_until_idle(log, store, topics)
    (loss,) = store.losses()
    assert (loss.first, loss.n_records) == (Position(topic, 0, 1), 3)
    assert "retention" in loss.reason
    assert request_entries(store, "r4")


def test_records_gone_while_the_tap_was_slow_are_a_named_loss(tmp_path, store, topics):
    now_ms = [1_700_000_000_000]
    topic = topics.pipeline_inputs("p")
    with SqliteLog(tmp_path / "log.db", clock=lambda: now_ms[0]) as log:
        log.create_topics([TopicConfig(topic, retention_ms=60_000)])
        log.append([Append(topic, 0, b"r0", b"v")])
        tap = Tap(log, store, topics)
        tap.step(0.0)
        log.append([Append(topic, 0, b"r1", b"v")])
        now_ms[0] += 120_000
        log.clean()
        log.append([Append(topic, 0, b"r2", b"v")])
        tap.step(1.0)
        tap.close()
    assert [(loss.first.offset, loss.end_offset) for loss in store.losses()] == [(1, 2)]


def test_a_topic_deleted_and_made_again_is_read_from_its_beginning(log, store, topics, tap_all):
    topic = topics.pipeline_inputs("p")
    log.create_topics([TopicConfig(topic)])
    log.append([Append(topic, 0, b"first", b"v") for _ in range(5)])
    tap_all()
    log.delete_topics([topic])
    log.create_topics([TopicConfig(topic)])
    log.append([Append(topic, 0, b"second", b"v")])
    tap_all()
    assert len(request_entries(store, "first")) == 5
    assert len(request_entries(store, "second")) == 1


def test_a_topic_made_again_behind_a_running_tap_is_read_too(log, store, topics, wait_until):
    topic = topics.pipeline_inputs("p")
    log.create_topics([TopicConfig(topic)])
    log.append([Append(topic, 0, b"first", b"v") for _ in range(5)])
    tap = Tap(log, store, topics)
    tap.step(0.0)
    log.delete_topics([topic])
    log.create_topics([TopicConfig(topic)])
    log.append([Append(topic, 0, b"second", b"v")])
    wait_until(lambda: tap.step(0.0))
    tap.close()
    assert len(request_entries(store, "second")) == 1
    assert len(request_entries(store, "first")) == 5


def test_a_topic_that_was_seen_to_be_gone_is_read_from_its_beginning_however_long_it_is_now(log, store, topics):
    topic = topics.pipeline_inputs("p")
    tap = Tap(log, store, topics)
    for request in (b"first", b"second"):
        log.create_topics([TopicConfig(topic)])
        log.append([Append(topic, 0, request, b"v") for _ in range(5)])
        tap.discover()
        tap.step(1.0)
        log.delete_topics([topic])
        tap.discover()
    tap.close()
    assert [len(request_entries(store, request)) for request in ("first", "second")] == [5, 5]


def test_a_tap_keeps_what_it_could_not_write_and_writes_it_later(log, pen, store, topics):
    for number in range(40):
        pen.claim(f"r{number}", 10.0)
    tap = Tap(log, store, topics)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(LogUnavailableError, match="lineage store"):
            tap.step(0.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    while tap.step(0.0):
        pass
    tap.close()
    assert store.counts().n_records == 320


def test_a_tap_whose_disk_is_full_says_so_and_goes_on_when_there_is_room(log, topics, start_tap, tapped, wait_until):
    fill(log, topics, 10)
    process = start_tap()
    wait_until(lambda: tapped() == 10)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    fill(log, topics, 5000)
    assert any("tries again" in line for line in process.stderr)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_until(lambda: tapped() == 5010)
    assert process.poll() is None


def test_a_log_that_cannot_be_opened_ends_the_tap_with_its_reason(tmp_path, caplog):
    assert main(["--log", "nonsense", "--store", str(tmp_path / "l.db")]) == 1
    assert "nonsense" in caplog.text


def test_a_tap_that_is_told_to_stop_reads_what_is_there_from_a_remote_log_too(kafka_address, tmp_path):
    topics, stop = Topics(f"tap-{uuid4().hex[:8]}"), Event()
    stop.set()
    with open_log(Settings(log=kafka_address)) as log, LineageStore(tmp_path / "s.db", topics=topics) as store:
        fill(log, topics, 7)
        tap = Tap(log, store, topics)
        tap.run(stop)
        tap.close()
        assert store.counts().n_records == 7
