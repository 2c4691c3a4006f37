"""A process for the crash tests: a stack under load, until it is killed.

``python run_under_load.py LOG FIRST PARTITIONS`` sends requests with the ids ``FIRST``, ``FIRST + 1``, ... to every
pipeline, many at a time, and prints a line whenever a hundred have been answered.
"""

import asyncio
import sys
from pathlib import Path

import numpy as np
import uvloop

from dfml.inference.codec import encode_request
from dfml.settings import Settings
from dfml_engine.gateways.api import SubmitOptions
from dfml_engine.stack import Stack

CLIENTS = 48
PIPELINES = ("chain", "either", "both", "branches", "loop", "batch")


async def main(log: str, first: int, partitions: int) -> None:
    settings = Settings(
        log=log, rest_port=0, tap=False, partitions=partitions, python_paths=(Path(__file__).parent,), pool_threads=2
    )
    async with Stack(settings) as stack:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        numbers = iter(range(first, first + 1_000_000))
        answered = 0

        async def client() -> None:
            nonlocal answered
            for number in numbers:
                pipeline = PIPELINES[number % len(PIPELINES)]
                tensors = {"X": np.array([-number if number % 2 else number]), "N": np.array([number % 4])}
                request = encode_request(tensors, model_name=pipeline, request_id="")
                submission = stack.gateway.submit(pipeline, request, SubmitOptions(str(number)))
                await stack.gateway.result(submission)
                answered += 1
                if answered % 100 == 0:
                    sys.stdout.write(f"{answered}\n")
                    sys.stdout.flush()

        await asyncio.gather(*(client() for _ in range(CLIENTS)))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
