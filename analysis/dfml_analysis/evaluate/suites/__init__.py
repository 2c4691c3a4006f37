"""The suites, one file each: recordings of others' pipelines, and simulated ones."""
