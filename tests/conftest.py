"""Drawn examples are judged by what they show, not by how long they take: a busy machine fails no test."""

from hypothesis import HealthCheck, settings

settings.register_profile("dfml", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dfml")
