"""Clients that have lost their brokers for good.

A broker that is alone, and was suspended or shuts down, names no brokers for a moment. A client whose connection drops
just then is left by librdkafka 2.10 to 2.16 without any (its issue 5301): it connects no more, and says nothing. It is
known by a question that another client has answered.
"""

import logging
import threading
import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from dfml.aside import call_aside
from dfml.errors import LogError

logger = logging.getLogger(__name__)

PROBE_S = 5.0
"""How long a client may take to connect to a cluster that answers others: it tries several times a second."""
LOOK_AGAIN_S = 0.5


def is_lost(client: Consumer | Producer) -> bool:
    """Return whether a client does not find the brokers of a cluster that answers; one that is closed is not lost."""
    try:
        client.list_topics(timeout=PROBE_S)
    except KafkaException as error:
        lost = error.args[0].code() in {KafkaError._TRANSPORT, KafkaError._TIMED_OUT}
    except RuntimeError:
        return False
    else:
        return False
    if lost:
        logger.warning(
            "a client of Kafka has lost its brokers for good (librdkafka issue 5301); another takes its place"
        )
    return lost


class LookAfter:
    """Looks for lost clients on a thread of its own, whenever all brokers were down and one answers again.

    Parameters
    ----------
    ask : callable
        Asks the cluster anything; raises LogError while it does not answer.
    replace : callable
        Replaces what is lost.
    closed : callable
        Returns whether there is nothing to look after any more.
    """

    def __init__(self, ask: Callable[[], object], replace: Callable[[], None], closed: Callable[[], bool]) -> None:
        self._ask = ask
        self._replace = replace
        self._closed = closed
        self._guard = threading.Lock()
        self._n_noted = self._n_done = 0
        self._is_looking = False

    def note_down(self) -> None:
        """Take note that a client found all brokers down; it returns at once."""
        with self._guard:
            self._n_noted += 1
            if self._is_looking:
                return
            self._is_looking = True
        call_aside(self._look)

    def _look(self) -> None:
        while self._has_more():
            while not self._closed():
                try:
                    self._ask()
                except LogError:
                    time.sleep(LOOK_AGAIN_S)
                else:
                    self._replace()
                    break

    def _has_more(self) -> bool:
        with self._guard:
            self._is_looking = self._n_done < self._n_noted and not self._closed()
            self._n_done = self._n_noted
            return self._is_looking
