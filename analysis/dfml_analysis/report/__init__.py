"""The HTML report of a localisation: one file with everything in it."""
