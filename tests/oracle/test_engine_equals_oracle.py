"""The engine's outputs, errors, fates and parents are the oracle's, whatever the order, the copies and the restarts."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from bench import Clock, Ground, embedded
from comparing import compare
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import KAFKA_PROFILE, PROFILE
from strategies import COPIES, DELAYS, HANDOVERS, RESTARTS, cases

from dfml.log import TopicConfig
from dfml.log.kafka import KafkaLog
from dfml.settings import KafkaOptions
from dfml.topics import Topics

FAULTS = {
    "any order": (),
    "copies": COPIES,
    "restarts": RESTARTS,
    "delays": DELAYS,
    "handovers": (*HANDOVERS, *RESTARTS),
    "all at once": (*COPIES, *RESTARTS, *DELAYS, *HANDOVERS),
}


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_every_record_is_what_the_rules_say(faults: Sequence[str]):
    @settings(PROFILE)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        with tempfile.TemporaryDirectory() as folder, embedded(Path(folder)) as ground:
            assert compare(data.draw(cases(faults)), ground) == []

    check()


class TimelessKafkaLog(KafkaLog):
    """Its topics take the times of a drawn clock: a broker's own limit is an hour ahead, and windows last for years."""

    def __init__(self, options: KafkaOptions, clock: Clock) -> None:
        super().__init__(options, clock=clock)
        self.admin = AdminClient({"bootstrap.servers": options.brokers})

    def create_topics(self, configs: Iterable[TopicConfig]) -> None:
        configs = list(configs)
        super().create_topics(configs)
        limit = ConfigEntry(
            "message.timestamp.after.max.ms", str(2**63 - 1), incremental_operation=AlterConfigOpType.SET
        )
        topics = [ConfigResource(ResourceType.TOPIC, each.name, incremental_configs=[limit]) for each in configs]
        for altered in self.admin.incremental_alter_configs(topics).values():
            altered.result()


@pytest.mark.timeout(3_600)
def test_every_record_is_what_the_rules_say_on_kafka_too(kafka_address: str):
    clock, faults = Clock(), (*RESTARTS, *HANDOVERS, *DELAYS)
    options = KafkaOptions(kafka_address.removeprefix("kafka://"))

    @settings(KAFKA_PROFILE)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        with tempfile.TemporaryDirectory() as folder:
            ground = Ground(log, clock, Topics(f"oracle-{uuid4().hex[:8]}"), Path(folder))
            assert compare(data.draw(cases(faults)), ground) == []

    with TimelessKafkaLog(options, clock) as log:
        check()
