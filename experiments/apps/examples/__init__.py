"""Small pipelines, one for each way of wiring steps; docs/pipelines.md explains them."""
