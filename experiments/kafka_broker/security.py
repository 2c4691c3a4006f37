"""TLS, users and rights for a broker: an authority of its own, passwords by user, and access-control lists."""

import secrets
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

MECHANISM = "SCRAM-SHA-256"
LISTENER = "listener.name.sasl_ssl"
ADMIN_TIMEOUT_S = 20.0
RIGHTS = {
    ResourceType.TOPIC: (
        AclOperation.CREATE,
        AclOperation.READ,
        AclOperation.WRITE,
        AclOperation.DELETE,
        AclOperation.DESCRIBE_CONFIGS,
    ),
    ResourceType.GROUP: (AclOperation.READ,),
    ResourceType.TRANSACTIONAL_ID: (AclOperation.WRITE,),
}
"""What dfml does to topics, groups and transactions of its prefix."""
DAYS = "3650"


@dataclass(frozen=True, slots=True)
class Security:
    """What a broker and its clients need to talk over SASL_SSL; made by :func:`make_security`.

    Attributes
    ----------
    store
        The broker's key and certificate (PEM).
    authority
        The certificate that clients have to trust (PEM).
    passwords
        By user. A user has no right that is not given to it; whoever comes in without TLS has all.
    """

    store: Path
    authority: Path
    passwords: Mapping[str, str] = field(repr=False)

    def broker_properties(self) -> dict[str, str]:
        """Return the properties that make a broker ask for a password and for rights."""
        return {
            f"{LISTENER}.ssl.keystore.type": "PEM",
            f"{LISTENER}.ssl.keystore.location": str(self.store),
            f"{LISTENER}.sasl.enabled.mechanisms": MECHANISM,
            f"{LISTENER}.{MECHANISM.lower()}.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": "User:ANONYMOUS",
        }

    def format_arguments(self) -> Iterator[str]:
        """Yield the arguments that put the users into a broker's storage."""
        for user, password in self.passwords.items():
            yield from ("--add-scram", f"{MECHANISM}=[name={user},password={password}]")

    def client(self, user: str) -> dict[str, str]:
        """Return the properties with which a client comes in as a user."""
        return {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self.authority),
            "sasl.mechanisms": MECHANISM,
            "sasl.username": user,
            "sasl.password": self.passwords[user],
        }


def make_security(folder: Path, users: Iterable[str]) -> Security:
    """Make an authority, a certificate for 127.0.0.1 and localhost that it signed, and a password for each user.

    It takes ``openssl``, which is there in a hundredth of the time of the JDK's keytool.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "names").write_text("subjectAltName = IP:127.0.0.1, DNS:localhost\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", DAYS)
    _openssl(
        folder, "req", "-x509", *key, "-subj", "/CN=authority", "-keyout", "authority.key", "-out", "authority.pem"
    )
    _openssl(folder, "req", *key, "-subj", "/CN=broker", "-keyout", "broker.key", "-out", "broker.request")
    signer = ("-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-days", DAYS)
    _openssl(
        folder, "x509", "-req", *signer, "-extfile", "names", "-in", "broker.request", "-out", "broker.certificate"
    )
    parts = [folder / "broker.key", folder / "broker.certificate"]
    (folder / "broker.pem").write_text("".join(part.read_text() for part in parts))
    passwords = {user: secrets.token_urlsafe(12) for user in users}
    return Security(folder / "broker.pem", folder / "authority.pem", passwords)


def give_rights(servers: str, user: str, prefix: str) -> None:
    """Give a user what dfml needs on the topics, groups and transactions whose names begin with ``prefix``.

    Parameters
    ----------
    servers
        Where whoever asks has every right (``Broker.servers``).
    """
    lists = [
        AclBinding(kind, prefix, ResourcePatternType.PREFIXED, f"User:{user}", "*", operation, AclPermissionType.ALLOW)
        for kind, operations in RIGHTS.items()
        for operation in operations
    ]
    admin = AdminClient({"bootstrap.servers": servers})
    for made in admin.create_acls(lists).values():
        made.result(ADMIN_TIMEOUT_S)


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=True)
