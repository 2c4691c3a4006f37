"""The insurance claims pipeline: its models, the claims that feed it, and the faults that can befall it."""
