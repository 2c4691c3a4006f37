"""What a pipeline, model, step or experiment may be called."""

from dfml.spec.findings import Finding, Path, show_value
from dfml.topics import NAME


def check_name(name: str, path: Path) -> list[Finding]:
    """Return the finding against a name that cannot be part of a topic's name; none when it can."""
    if NAME.fullmatch(name):
        return []
    expected = "letters, digits, '-' and '_', a letter or digit first and last (no dots: names are parts of topics)"
    return [Finding(path, f"the name {show_value(name)} cannot be; expected {expected}")]
