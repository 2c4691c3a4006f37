"""The demo: break the claims pipeline, find the step that did it, show the request that proves it."""
