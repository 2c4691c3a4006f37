"""The proof, read from the topics: one answer for every accepted request, and it is the right one."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from dfml.headers import ERROR_KIND, PIPELINE
from dfml.inference.codec import decode_tensors, read_message
from dfml.inference.oip_pb2 import InferResponse
from dfml.record import Record
from dfml.settings import Settings
from dfml.topics import Topics
from experiments.crash_campaign.pipelines import NAMES, expected
from experiments.crash_campaign.reading import read_topics

Request = tuple[str, str]
"""Pipeline and id."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the topics hold.

    Attributes
    ----------
    accepted
        How many requests.
    lost
        Requests without an answer.
    wrong
        Answers that are an error, or not the expected number.
    foreign
        Answers to what was never asked.
    doubled
        Requests with two answers that differ.
    copies
        Answers that stand there again, the same in everything: one result, that readers tell by its identity.
    entered_again
        Requests that stand there again, the same in everything.
    """

    accepted: int
    lost: tuple[Request, ...]
    wrong: tuple[Request, ...]
    foreign: tuple[Request, ...]
    doubled: tuple[Request, ...]
    copies: int
    entered_again: int

    @property
    def clean(self) -> bool:
        """Whether every request has one right answer, however often that may stand there."""
        return not (self.lost or self.wrong or self.foreign or self.doubled)


def check(settings: Settings) -> Finding:
    """Read the pipelines' topics and the errors and compare."""
    topics = Topics(settings.prefix, settings.namespace)
    entries = [topics.pipeline_inputs(name) for name in NAMES]
    answers = [topics.pipeline_outputs(name) for name in NAMES] + [topics.errors]
    entered: defaultdict[Request, int] = defaultdict(int)
    ended: defaultdict[Request, list[Record]] = defaultdict(list)
    for record in read_topics(settings, entries):
        entered[_request_of(record)] += 1
    for record in read_topics(settings, answers):
        ended[_request_of(record)].append(record)
    n_answers = sum(len(records) for records in ended.values())
    doubled = tuple(request for request, records in ended.items() if _differ(records))
    return Finding(
        accepted=len(entered),
        lost=tuple(entered.keys() - ended.keys()),
        wrong=tuple(request for request, records in ended.items() if not all(map(_is_right, records))),
        foreign=tuple(ended.keys() - entered.keys()),
        doubled=doubled,
        copies=n_answers - len(ended) - len(doubled),
        entered_again=sum(entered.values()) - len(entered),
    )


def _request_of(record: Record) -> Request:
    return (record.header(PIPELINE) or b"").decode(), record.key.decode()


def _differ(answers: Sequence[Record]) -> bool:
    return len({(answer.topic, answer.value) for answer in answers}) > 1


def _is_right(answer: Record) -> bool:
    if answer.header(ERROR_KIND) is not None:
        return False
    pipeline, request = _request_of(answer)
    values = decode_tensors(read_message(InferResponse, answer.value))
    return float(next(iter(values.values())).flat[0]) == expected(pipeline, int(request[1:]))
