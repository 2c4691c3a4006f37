"""Studies: one folder each, and the example pipelines they run (apps)."""
