"""Every error dfml raises, as one tree.

::

    DfmlError
    ├── BadInputError                what the user gave cannot be used
    │   ├── SpecError                a Pipeline, Model or Experiment document is wrong (every finding listed)
    │   ├── SettingsError            a setting, option or environment variable is wrong
    │   ├── PayloadError             an inference payload is malformed
    │   │   └── PayloadTooLargeError
    │   └── DataError                a table, graph or column given to the analysis is wrong
    ├── NotFoundError                a pipeline, model, request or topic that does not exist
    ├── ConflictError                the thing exists already, or somebody else holds it
    ├── ModelError                   a model's code raised, returned the wrong thing or could not be loaded
    │   └── MissingTensorError       it asked for an input tensor that it was not given
    ├── DeadlineError                a request did not finish in the time its caller gave it
    ├── OverloadedError              a bound on outstanding work is reached; try again later
    └── LogError                     the log (SQLite or Kafka) failed
        ├── LogUnavailableError      it may work later (locked, broker down, disk full)
        ├── LogReadOnlyError
        ├── ForbiddenError           the user lacks a right on a topic, group or transaction of the log
        ├── UnknownTopicError
        ├── RecordTooLargeError
        └── FencedError              the member lost its generation; what it held belongs to another now

Errors of SQLite, Kafka, gRPC and HTTP clients are mapped to this tree where they enter. A text says what, where,
what was expected, what was got, and what to do.
"""


class DfmlError(Exception):
    """Anything dfml raises on purpose."""


class BadInputError(DfmlError):
    """What the user gave cannot be used as it is."""


class SpecError(BadInputError):
    """A Pipeline, Model or Experiment document is wrong; the text lists every finding with its line and path."""


class SettingsError(BadInputError):
    """A setting, option or environment variable is wrong."""


class PayloadError(BadInputError):
    """An inference payload is malformed: shape against data, datatype, encoding."""


class PayloadTooLargeError(PayloadError):
    """An inference payload is over the limit that the gateway was given."""


class DataError(BadInputError):
    """A table, graph or column given to the analysis is wrong."""


class NotFoundError(DfmlError):
    """A pipeline, model, request or topic that does not exist."""


class ConflictError(DfmlError):
    """The thing exists already, or somebody else holds it."""


class ModelError(DfmlError):
    """A model's code raised, returned the wrong thing or could not be loaded."""


class MissingTensorError(ModelError):
    """A model asked for an input tensor that it was not given."""


class DeadlineError(DfmlError):
    """A request did not finish in the time its caller gave it; the text says what it waits for."""


class OverloadedError(DfmlError):
    """A bound on outstanding work is reached; trying again later may work."""


class LogError(DfmlError):
    """The log failed."""


class LogUnavailableError(LogError):
    """The log cannot be used now but may be later: locked, disk full, broker down."""


class LogReadOnlyError(LogError):
    """The log's file or topic may be read but not written."""


class ForbiddenError(LogError):
    """The log's user may not do this; the text says on what, and which right is missing."""


class UnknownTopicError(LogError):
    """A topic that the log does not have."""


class RecordTooLargeError(LogError):
    """A record is larger than the log takes; nothing of its unit was written.

    Parameters
    ----------
    text : str
        What is said.
    limit_bytes : int
        The limit that it is over.
    """

    def __init__(self, text: str, limit_bytes: int) -> None:
        super().__init__(text)
        self.limit_bytes = limit_bytes


class FencedError(LogError):
    """The group member lost its generation: it must stop, its partition numbers belong to another."""
