"""The SQLite log against models of itself in memory, under sequences of calls that Hypothesis makes up."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from dfml.errors import FencedError
from dfml.log import Commit, Log, Membership, TopicConfig
from dfml.log.sqlite import SqliteLog
from dfml.record import Append, TopicName, TopicPartition
from tests.dfml.log.backends import SqliteBackend

TOPICS = [TopicName("a"), TopicName("b"), TopicName("c")]
TOPIC = st.sampled_from(TOPICS)
CLIENT = st.integers(0, 1)
SEVERAL = st.lists(st.tuples(TOPIC, st.integers(0, 1), st.binary(max_size=3)), max_size=6)


class LogAgainstModel(RuleBasedStateMachine):
    """Two clients write; a reader of each follows. The model is a list of values per topic partition."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clients = [SqliteLog(Path(self.folder.name) / "log.db") for _ in range(2)]
        self.readers = [client.reader() for client in self.clients]
        self.written: dict[TopicPartition, list[bytes]] = {}
        self.committed: dict[TopicPartition, int] = {}
        self.read: list[dict[TopicPartition, list[bytes]]] = [{}, {}]

    @initialize()
    def begin(self) -> None:
        self.create(0, TOPICS[0])

    @rule(client=CLIENT, topic=TOPIC)
    def create(self, client: int, topic: TopicName) -> None:
        self.clients[client].create_topics([TopicConfig(topic, 2)])
        for number in range(2):
            place = TopicPartition(topic, number)
            if place not in self.written:
                self.written[place] = []
                for reader, read in zip(self.readers, self.read, strict=True):
                    read[place] = []
                    reader.assign({place: 0})

    @rule(client=CLIENT, topic=TOPIC)
    def delete(self, client: int, topic: TopicName) -> None:
        self.clients[client].delete_topics([topic])
        for number in range(2):
            self.written.pop(TopicPartition(topic, number), None)
            self.committed.pop(TopicPartition(topic, number), None)

    @rule(client=CLIENT, several=SEVERAL, offset=st.integers(0, 9))
    def append(self, client: int, several: list[tuple[TopicName, int, bytes]], offset: int) -> None:
        known = [each for each in several if TopicPartition(*each[:2]) in self.written]
        offsets = {TopicPartition(topic, number): offset for topic, number, _ in known[:2]}
        appends = [Append(topic, number, b"k", value) for topic, number, value in known]
        positions = self.clients[client].append(appends, [Commit("g", offsets)])
        for append, position in zip(appends, positions, strict=True):
            values = self.written[TopicPartition(append.topic, append.partition)]
            assert position.offset == len(values)
            values.append(append.value)
        self.committed.update(offsets)

    @rule(client=CLIENT, at_most=st.integers(1, 9))
    def poll(self, client: int, at_most: int) -> None:
        records = self.readers[client].poll(at_most, 0)
        assert len(records) <= at_most
        for record in records:
            self.read[client][TopicPartition(record.topic, record.partition)].append(record.value)

    @rule(client=CLIENT)
    def clean(self, client: int) -> None:
        self.clients[client].clean()

    @rule(client=CLIENT)
    def open_again(self, client: int) -> None:
        self.clients[client].close()
        self.clients[client] = SqliteLog(Path(self.folder.name) / "log.db")
        self.readers[client] = self.clients[client].reader()
        self.readers[client].assign({place: len(self.read[client][place]) for place in self.written})

    @invariant()
    def readers_have_a_beginning_of_what_was_written(self) -> None:
        for read in self.read:
            for place, values in self.written.items():
                assert read[place] == values[: len(read[place])]

    @invariant()
    def clients_agree_with_the_model(self) -> None:
        for client in self.clients:
            assert client.end(self.written) == {place: len(values) for place, values in self.written.items()}
            assert client.committed("g", self.written) == self.committed

    def teardown(self) -> None:
        for number, reader in enumerate(self.readers):
            while reader.positions() and (records := reader.poll(100, 0)):
                for record in records:
                    self.read[number][TopicPartition(record.topic, record.partition)].append(record.value)
            for place, values in self.written.items():
                assert self.read[number][place] == values
        for client in self.clients:
            client.close()
        self.folder.cleanup()


class GroupAgainstClock(RuleBasedStateMachine):
    """Members come, go, fall silent and commit; nobody's belief of what it owns may overlap another's."""

    members = Bundle("members")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.backend = SqliteBackend(Path(self.folder.name) / "log.db")
        self.clients: list[Log] = [self.backend.open() for _ in range(2)]
        self.clients[0].create_topics([TopicConfig(TOPICS[0], 5)])
        self.believed: dict[Membership, frozenset[int]] = {}
        self.polled_ms: dict[Membership, int] = {}

    @rule(target=members, client=CLIENT)
    def join(self, client: int) -> Membership:
        member = self.clients[client].join("g", 5, session_timeout_ms=1000)
        self.believed[member], self.polled_ms[member] = frozenset(), self.backend.now_ms()
        return member

    @rule(member=members)
    def poll(self, member: Membership) -> None:
        try:
            self.believed[member] = member.poll()
            self.polled_ms[member] = self.backend.now_ms()
        except FencedError:
            assert not self._is_within_its_time(member)
            self.believed[member] = frozenset()

    @rule(member=consumes(members))
    def leave(self, member: Membership) -> None:
        member.leave()
        self.believed[member], self.polled_ms[member] = frozenset(), 0

    @rule(duration_ms=st.sampled_from([100, 600, 1100]))
    def pass_time(self, duration_ms: int) -> None:
        self.backend.pass_ms(duration_ms)

    @rule(member=members, number=st.integers(0, 4), client=CLIENT)
    def commit(self, member: Membership, number: int, client: int) -> None:
        place = TopicPartition(TOPICS[0], number)
        owns = number in self.believed[member]
        try:
            self.clients[client].append([], [Commit("g", {place: 1}, member.member, member.generation)])
        except FencedError:
            assert not (owns and self._is_within_its_time(member))
        else:
            others = [each for each in self.believed if each is not member and self._is_within_its_time(each)]
            assert all(number not in self.believed[other] for other in others)

    @invariant()
    def no_number_has_two_owners(self) -> None:
        live = [numbers for member, numbers in self.believed.items() if self._is_within_its_time(member)]
        assert sum(map(len, live)) == len(frozenset().union(*live))

    def teardown(self) -> None:
        live = [member for member in self.believed if self._is_within_its_time(member)]
        for _ in range(4):
            owned = [member.poll() for member in live]
        if live:
            assert frozenset().union(*owned) == frozenset(range(5))
            assert max(map(len, owned)) - min(map(len, owned)) <= 1
        for client in self.clients:
            client.close()
        self.folder.cleanup()

    def _is_within_its_time(self, member: Membership) -> bool:
        return self.backend.now_ms() - self.polled_ms[member] <= 1000


TestLogAgainstModel = LogAgainstModel.TestCase
TestLogAgainstModel.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestGroupAgainstClock = GroupAgainstClock.TestCase
TestGroupAgainstClock.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
