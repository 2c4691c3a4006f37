"""What loading does to who is running: 1,000 pipelines come and go, one pipeline is replaced again and again."""
