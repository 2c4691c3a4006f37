"""What a Pipeline, a Model and an Experiment may say: the documents as frozen pydantic models.

Field names are the documents' own (camelCase in YAML, snake_case here). These classes check types and unknown fields;
what one field means for another (references, cycles, joins) is checked by :mod:`dfml.spec.rules`.
"""

from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

API_VERSION = "mlops.seldon.io/v1alpha1"
DEFAULT_JOIN_WINDOW_MS = 60_000
"""How long a rule waits for its sources, from the first arrival, when the document does not say."""

Count = Annotated[int, Field(ge=1, strict=True)]
Milliseconds = Annotated[int, Field(ge=1, strict=True)]
Weight = Annotated[int, Field(ge=0, strict=True)]


class Document(BaseModel):
    """A part of a document: frozen, unknown fields refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, alias_generator=to_camel)


class Join(Enum):
    """When a rule with several sources fires."""

    INNER = "inner"
    OUTER = "outer"
    ANY = "any"


class Metadata(Document):
    """A document's name and what Kubernetes keeps beside it (kept, not used)."""

    name: str
    namespace: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    finalizers: tuple[str, ...] = ()
    generate_name: str | None = None
    generation: int | None = None
    managed_fields: tuple[dict[str, object], ...] = ()
    owner_references: tuple[dict[str, object], ...] = ()
    resource_version: str | None = None
    self_link: str | None = None
    uid: str | None = None


class Batch(Document):
    """Requests are concatenated until ``size`` rows or ``window_ms`` milliseconds, whichever comes first.

    ``rolling`` is kept, not used.
    """

    size: Count = 1
    window_ms: Milliseconds | None = None
    rolling: bool = False


class Step(Document):
    """A step: the model's name, what it reads and when it fires."""

    name: str
    inputs: tuple[str, ...] = ()
    inputs_join_type: Join = Join.INNER
    join_window_ms: Milliseconds = DEFAULT_JOIN_WINDOW_MS
    tensor_map: dict[str, str] = {}
    triggers: tuple[str, ...] = ()
    triggers_join_type: Join = Join.INNER
    batch: Batch | None = None


class PipelineInput(Document):
    """What feeds the pipeline from other pipelines; it can still be called directly."""

    external_inputs: tuple[str, ...] = ()
    external_triggers: tuple[str, ...] = ()
    join_type: Join = Join.INNER
    triggers_join_type: Join = Join.INNER
    join_window_ms: Milliseconds = DEFAULT_JOIN_WINDOW_MS
    tensor_map: dict[str, str] = {}


class PipelineOutput(Document):
    """What the pipeline answers."""

    steps: tuple[str, ...] = ()
    steps_join: Join = Join.INNER
    join_window_ms: Milliseconds = DEFAULT_JOIN_WINDOW_MS
    tensor_map: dict[str, str] = {}


class Dataflow(Document):
    """What becomes of the topics of a pipeline or model."""

    clean_topics_on_delete: bool = False


class PipelineSpec(Document):
    """The body of a Pipeline. ``output`` None: asynchronous use only."""

    steps: tuple[Step, ...]
    input: PipelineInput | None = None
    output: PipelineOutput | None = None
    allow_cycles: bool = False
    max_step_revisits: int = Field(default=0, ge=0, strict=True)
    dataflow: Dataflow = Dataflow()


class Parameter(Document):
    """A named setting handed to a model's code."""

    name: str
    value: str


class ModelSpec(Document):
    """The body of a Model. ``storage_uri`` says where the code is; the fields of the cluster are kept, not used.

    ``inline`` promises that a call returns at once (well under a millisecond), so that it may run in the gateway's
    own loop instead of a thread pool.
    """

    storage_uri: str
    requirements: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    inline: bool = False
    artifact_version: int | None = None
    dataflow: Dataflow = Dataflow()
    dedicated: bool = False
    explainer: dict[str, object] | None = None
    llm: dict[str, object] | None = None
    logger: dict[str, object] | None = None
    max_replicas: int | None = None
    memory: str | int | float | None = None
    min_replicas: int | None = None
    model_type: str | None = None
    pre_loaded: bool = Field(default=False, alias="preloaded")
    replicas: int | None = None
    schema_uri: str | None = None
    secret_name: str | None = None
    server: str | None = None
    stream_spec: dict[str, object] | None = None


class Candidate(Document):
    """One arm of an experiment."""

    name: str
    weight: Weight = 1


class Mirror(Document):
    """An arm that gets a copy of a share of the requests and never answers."""

    name: str
    percent: float = Field(ge=0, le=100)


class ExperimentSpec(Document):
    """The body of an Experiment: weighted candidates for one model or pipeline, with a default and a mirror."""

    candidates: tuple[Candidate, ...]
    default: str | None = None
    mirror: Mirror | None = None
    resource_type: Literal["model", "pipeline"] = "model"


class Resource(Document):
    """What the three kinds share. ``status`` is what a cluster wrote back; it is ignored."""

    api_version: Literal["mlops.seldon.io/v1alpha1"]
    metadata: Metadata
    status: dict[str, object] | None = None

    @property
    def name(self) -> str:
        """The resource's name."""
        return self.metadata.name


class Pipeline(Resource):
    """A graph of steps, joined by topics."""

    kind: Literal["Pipeline"]
    spec: PipelineSpec


class Model(Resource):
    """The code that a step runs."""

    kind: Literal["Model"]
    spec: ModelSpec


class Experiment(Resource):
    """Candidates that share the requests of one model or pipeline."""

    kind: Literal["Experiment"]
    spec: ExperimentSpec


AnyResource = Pipeline | Model | Experiment
