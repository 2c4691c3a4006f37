"""What the embedded log carries: appends, reads, delays, and what an idle poll costs."""
