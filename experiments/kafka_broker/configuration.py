"""What a broker of one node is told: small, quick to form groups, nothing made unasked."""

import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from experiments.kafka_broker.security import Security

FIRST_PORT, LAST_PORT = 20_000, 29_999
"""Below the ports that systems give to outgoing connections: none of them takes ours while the broker is down."""
JAVA_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""A small heap, one collector thread and the quick compiler: ready in half the time and memory."""

_ONE_NODE = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    # A killed broker may register again once its old registration is this old.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "log.retention.check.interval.ms": "1000",
}


@dataclass(frozen=True, slots=True)
class Ports:
    """The loopback ports of a broker: ``plain`` and ``secure`` for clients, ``controller`` for the broker itself."""

    plain: int
    secure: int
    controller: int


@dataclass(frozen=True, slots=True)
class Configuration:
    """The properties of a broker with its data in ``folder``; ``extra`` wins over what stands here.

    With ``security`` there is a second way in, over TLS and with a password.
    """

    folder: Path
    ports: Ports
    security: Security | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def write(self) -> Path:
        """Write them to ``folder/server.properties`` and return that file."""
        file = self.folder / "server.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in self._properties().items()))
        return file

    def _properties(self) -> dict[str, str]:
        listeners = {"PLAINTEXT": self.ports.plain, "CONTROLLER": self.ports.controller}
        if self.security:
            listeners["SASL_SSL"] = self.ports.secure
        own = {
            "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners.items()),
            "controller.quorum.voters": f"1@127.0.0.1:{self.ports.controller}",
            "log.dirs": str(self.folder / "data"),
        }
        secured = self.security.broker_properties() if self.security else {}
        return {**_ONE_NODE, **own, **secured, **self.extra}


def free_ports() -> Ports:
    """Return loopback ports that nobody listens on now; they are not held."""
    candidates = random.SystemRandom().sample(range(FIRST_PORT, LAST_PORT + 1), 100)
    plain, secure, controller, *_ = filter(_is_free, candidates)
    return Ports(plain, secure, controller)


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
