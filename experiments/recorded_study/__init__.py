"""Every localiser on the recordings of two faulty pipelines: who finds the culprit, and who cries wolf."""
