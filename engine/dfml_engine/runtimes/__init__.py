"""How a model's code is called: Python callables; more kinds of runtime stand beside them."""

from dfml_engine.runtimes.base import Context, Runtime, load_runtime

__all__ = ["Context", "Runtime", "load_runtime"]
