"""The other process of the delay's measurement: appends the time, again and again."""

import sys
import time

from dfml.log import open_log
from dfml.record import Append, TopicName
from dfml.settings import Settings
from experiments.log_throughput.measures import DELAYS, PAUSE_S

with open_log(Settings(log=f"sqlite:///{sys.argv[1]}")) as log:
    for _ in range(DELAYS):
        time.sleep(PAUSE_S)
        log.append([Append(TopicName("t0"), 0, b"", b"%d" % time.monotonic_ns())])
