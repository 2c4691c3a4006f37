"""``python -m dfml``: the command line."""

from dfml.cli import app

app()
