"""The road counter: how many cars cross a line, seen by a camera above the road.

A request is a short clip of colour images, so that every step finds all it needs in it and keeps nothing between
requests. ``pipeline.yaml`` draws the steps; ``generator.py`` paints clips of which it knows the answer; ``faults.py``
has the ways in which it goes wrong.
"""
