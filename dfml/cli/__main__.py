"""``python -m dfml.cli``: the command line where the ``dfml`` script is not on the path."""

from dfml.cli import app

app(prog_name="dfml")
