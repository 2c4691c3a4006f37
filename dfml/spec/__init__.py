"""The specification language: Pipeline, Model and Experiment documents, checked completely before anything runs."""

from dfml.spec.documents import load_files, parse_resources
from dfml.spec.dump import dump_resource, resource_from_dict
from dfml.spec.rules import Missing, check_references, check_resource

__all__ = [
    "Missing",
    "check_references",
    "check_resource",
    "dump_resource",
    "load_files",
    "parse_resources",
    "resource_from_dict",
]
