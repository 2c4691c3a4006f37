"""The documents: models that pipelines share, many pipelines of two steps, and one that is replaced."""

from dfml.spec import parse_resources
from dfml.spec.schema import AnyResource

API = "apiVersion: mlops.seldon.io/v1alpha1\n"
MODELS = 20
BYSTANDER = "bystander"
REPLACED = "replaced"


def model_name(number: int) -> str:
    """Return the name of one of the shared models; it adds its number plus 1."""
    return f"adds-{number % MODELS + 1}"


def shared_models() -> str:
    """Return the documents of the shared models."""
    uri = "python:experiments.dynamism.models:Adder"
    return "---\n".join(
        f"{API}kind: Model\nmetadata: {{name: {model_name(number)}}}\n"
        f"spec: {{storageUri: '{uri}', inline: true, parameters: [{{name: added, value: '{number + 1}'}}]}}\n"
        for number in range(MODELS)
    )


def pipeline(name: str, first: int, second: int | None = None) -> str:
    """Return a pipeline of one or two of the shared models in a row."""
    steps: list[dict[str, object]] = [{"name": model_name(first)}]
    if second is not None:
        steps.append({"name": model_name(second), "inputs": [model_name(first)]})
    last = steps[-1]["name"]
    return f"{API}kind: Pipeline\nmetadata: {{name: {name}}}\nspec: {{steps: {steps}, output: {{steps: [{last}]}}}}\n"


def resources(text: str) -> list[AnyResource]:
    """Parse documents."""
    return parse_resources(text, source="dynamism")
