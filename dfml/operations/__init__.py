"""What a process shows of itself while it runs: health, readiness, metrics, its lines of log, its share of the work."""
