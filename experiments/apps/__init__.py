"""The example pipelines, each with its models, its generator and its faults."""
