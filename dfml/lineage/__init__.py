"""The lineage store: every record of a namespace with its parents and its fate, and the views of it.

:mod:`~dfml.lineage.tap` reads the topics into the :mod:`~dfml.lineage.store`; :mod:`~dfml.lineage.traces`,
:mod:`~dfml.lineage.frames`, :mod:`~dfml.lineage.requests`, :mod:`~dfml.lineage.inspect` and
:mod:`~dfml.lineage.audit` read the store and nothing else.
"""
