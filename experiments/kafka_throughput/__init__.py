"""Records a second through engine processes on Kafka, beside a bare consume-produce loop in the same run."""
