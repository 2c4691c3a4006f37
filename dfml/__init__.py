"""The language of dfml: records, topics, tensors, pipelines, the log and the lineage store."""

__version__ = "0.1.0"
