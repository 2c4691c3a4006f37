"""Pipelines with planted faults and a known answer, to measure methods on."""
