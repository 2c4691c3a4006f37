"""How a model's code is called: Python callables, scikit-learn artefacts, models on other servers."""

from dfml_engine.runtimes.base import Context, Runtime, load_runtime

__all__ = ["Context", "Runtime", "load_runtime"]
