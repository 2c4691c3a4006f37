"""The command line: one file a verb group; the only room that knows all packages.

Data goes to stdout, everything else to stderr. Verbs import what they call when they are called, so that
``dfml --help`` answers at once.
"""

from dfml.cli.app import app

__all__ = ["app"]
