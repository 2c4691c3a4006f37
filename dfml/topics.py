"""The topic grammar: names are made and parsed here and nowhere else.

``<prefix>.<namespace>.(model|pipeline).<name>.(inputs|outputs)``, ``<prefix>.<namespace>.errors.errors`` and, beside
them, ``.control.specs``, ``.control.status``, ``.control.owners``, ``.control.workers`` and ``.lineage.fates``. The
prefix may hold dots; namespace and names may not. A topic's *short name* stands behind ``<prefix>.<namespace>.``.
"""

import re
from dataclasses import dataclass
from typing import Literal

from dfml.errors import SettingsError
from dfml.record import TopicName

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?")
"""What a pipeline, model, step or namespace may be called: no dots, so that topic names parse."""
PREFIX = re.compile(r"[A-Za-z0-9._-]+")

Kind = Literal["model", "pipeline", "errors", "control", "lineage"]
FATES = "lineage.fates"
"""The last words of the topic of drops."""
KINDS: tuple[Kind, ...] = ("model", "pipeline", "errors", "control", "lineage")


@dataclass(frozen=True, slots=True)
class TopicRef:
    """A parsed topic: ``kind`` and ``name`` (of the model or pipeline) and ``port`` (its last word)."""

    kind: Kind
    name: str
    port: str

    @property
    def is_data(self) -> bool:
        """Whether inference records flow here (models, pipelines, errors), not control or lineage records."""
        return self.kind in {"model", "pipeline", "errors"}


@dataclass(frozen=True, slots=True)
class Topics:
    """The topic names of one namespace.

    Raises
    ------
    SettingsError
        If the prefix or namespace has a character that topic names cannot hold.
    """

    prefix: str = "seldon"
    namespace: str = "default"

    def __post_init__(self) -> None:
        if not PREFIX.fullmatch(self.prefix):
            msg = f"topic prefix: got {self.prefix!r}, expected letters, digits, '.', '_' and '-'"
            raise SettingsError(msg)
        if not NAME.fullmatch(self.namespace):
            msg = f"namespace: got {self.namespace!r}, expected letters, digits, '-' and '_', no dots"
            raise SettingsError(msg)

    def expand(self, short: str) -> TopicName:
        """Return the full name of a short one."""
        return TopicName(f"{self.prefix}.{self.namespace}.{short}")

    def shorten(self, topic: str) -> str:
        """Return what stands behind ``<prefix>.<namespace>.``; a foreign topic is returned whole."""
        return topic.removeprefix(f"{self.prefix}.{self.namespace}.")

    def model_inputs(self, model: str) -> TopicName:
        """Return the topic that the model gateway reads for a model."""
        return self.expand(f"model.{model}.inputs")

    def model_outputs(self, model: str) -> TopicName:
        """Return the topic of a model's answers."""
        return self.expand(f"model.{model}.outputs")

    def pipeline_inputs(self, pipeline: str) -> TopicName:
        """Return the topic that a pipeline's requests enter on."""
        return self.expand(f"pipeline.{pipeline}.inputs")

    def pipeline_outputs(self, pipeline: str) -> TopicName:
        """Return the topic of a pipeline's answers."""
        return self.expand(f"pipeline.{pipeline}.outputs")

    @property
    def errors(self) -> TopicName:
        """The topic of failures: of models, of payloads, of joins."""
        return self.expand("errors.errors")

    @property
    def specs(self) -> TopicName:
        """The compacted topic of loaded specs."""
        return self.expand("control.specs")

    @property
    def status(self) -> TopicName:
        """The compacted topic of what each part says of itself and of the specs."""
        return self.expand("control.status")

    @property
    def owners(self) -> TopicName:
        """The compacted topic of who is at work and which partition numbers each owns."""
        return self.expand("control.owners")

    @property
    def workers(self) -> TopicName:
        """The coordination topic that group membership is held on."""
        return self.expand("control.workers")

    @property
    def fates(self) -> TopicName:
        """The topic of drops: which record, why, what was missing."""
        return self.expand(FATES)

    def parse(self, topic: str) -> TopicRef | None:
        """Parse a full topic name; None when it is not of this prefix and namespace or not of the grammar."""
        head = f"{self.prefix}.{self.namespace}."
        if not topic.startswith(head):
            return None
        parts = topic[len(head) :].split(".")
        if len(parts) == 3 and parts[0] in {"model", "pipeline"} and parts[2] in {"inputs", "outputs"}:
            return TopicRef("model" if parts[0] == "model" else "pipeline", parts[1], parts[2])
        if len(parts) == 2 and parts[0] in KINDS:
            return TopicRef(next(kind for kind in KINDS if kind == parts[0]), "", parts[1])
        return None
