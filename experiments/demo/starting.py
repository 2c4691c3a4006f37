"""What the demo runs on: one process on the embedded log, or a Kafka broker of its own and a process for each part."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.apps.insurance_claims.faults import PIPELINE
from experiments.demo.options import Options
from experiments.kafka_broker import Broker, BrokerError, JarsError, what_is_missing
from experiments.running import Stack, ended_in_order, running_parts, running_stack, wait_until_ready

PARTITIONS = 4


class StartError(Exception):
    """What the demo runs on could not be started; the text says why."""


@contextmanager
def started(options: Options, document: Path) -> Iterator[Stack]:
    """Start the stack that the options ask for, and end everything that was started when the block is left.

    Raises
    ------
    StartError, StackError
        If broker or stack do not start.
    """
    with ended_in_order():
        if options.log == "sqlite":
            with running_stack(options.out, [document]) as stack:
                yield stack
            return
        with (
            _broker(options.out / "kafka") as broker,
            running_parts(options.out, [document], broker.address, PARTITIONS) as stack,
        ):
            wait_until_ready(stack, PIPELINE)
            yield stack


@contextmanager
def _broker(folder: Path) -> Iterator[Broker]:
    if missing := what_is_missing():
        msg = f"a Kafka broker takes Java 17 and Maven, and {missing} is not on PATH; leave LOG=kafka out"
        raise StartError(msg)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with Broker(folder) as broker:
            yield broker
    except (BrokerError, JarsError) as error:
        raise StartError(str(error)) from error
    shutil.rmtree(folder)
