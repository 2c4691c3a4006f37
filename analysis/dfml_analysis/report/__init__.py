"""The HTML report of a localisation: one file with everything in it."""

from dfml_analysis.report.page import write_report

__all__ = ["write_report"]
