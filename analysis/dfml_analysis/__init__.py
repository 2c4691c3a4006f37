"""The questions: what changed in a pipeline, where, since when, and how sure is that."""
