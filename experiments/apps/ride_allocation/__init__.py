"""Ride allocation: which driver fetches which rider, and how long each rider waits.

Drivers and riders come from two pipelines that know nothing of each other; a third joins what they answer for one
minute (one request id). Riders for whom no driver is near go round a loop in which the radius is widened.
``pipeline.yaml`` draws the steps; ``generator.py`` draws towns; ``faults.py`` has the ways in which it goes wrong.
"""
