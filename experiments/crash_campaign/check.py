"""The proof, read from the topics by nobody's help: one answer for every accepted request, and it is the right one."""

from collections import Counter
from dataclasses import dataclass

from dfml.inference.codec import decode_tensors, read_message
from dfml.inference.oip_pb2 import InferResponse
from dfml.log import open_log
from dfml.log.base import Log
from dfml.record import Record, TopicName, TopicPartition
from dfml.settings import Settings
from dfml.topics import Topics
from experiments.crash_campaign.pipelines import NAMES, expected

TOPICS = Topics()


@dataclass(frozen=True, slots=True)
class Finding:
    """What the topics hold: requests accepted, without answer, with several, with a wrong one, accepted twice."""

    accepted: int
    lost: int
    doubled: int
    wrong: int
    accepted_twice: int

    @property
    def clean(self) -> bool:
        """Whether every request has one right answer."""
        return not (self.lost or self.doubled or self.wrong or self.accepted_twice)


def check(url: str) -> Finding:
    """Read the pipelines' topics and the errors and compare."""
    entered: Counter[tuple[str, str]] = Counter()
    ended: Counter[tuple[str, str]] = Counter()
    wrong = 0
    with open_log(Settings(log=url), read_only=True) as log:
        for name in NAMES:
            entered.update((name, record.key.decode()) for record in _read(log, TOPICS.pipeline_inputs(name)))
            for record in _read(log, TOPICS.pipeline_outputs(name)):
                ended[name, record.key.decode()] += 1
                wrong += not _is_right(name, record)
        for record in _read(log, TOPICS.errors):
            ended[(record.header("pipeline") or b"").decode(), record.key.decode()] += 1
    return Finding(
        accepted=len(entered),
        lost=sum(request not in ended for request in entered),
        doubled=sum(n_answers > 1 for n_answers in ended.values()),
        wrong=wrong,
        accepted_twice=sum(n_entries > 1 for n_entries in entered.values()),
    )


def _is_right(pipeline: str, record: Record) -> bool:
    values = decode_tensors(read_message(InferResponse, record.value))
    return float(next(iter(values.values())).flat[0]) == expected(pipeline, int(record.key[1:]))


def _read(log: Log, topic: TopicName) -> list[Record]:
    places = [TopicPartition(topic, number) for number in range(log.topics()[topic].partitions)]
    ends, reader = log.end(places), log.reader()
    reader.assign(log.beginning(places))
    found: list[Record] = []
    while any(position < ends[place] for place, position in reader.positions().items()):
        found += reader.poll(5_000, 1.0)
    reader.close()
    return found
