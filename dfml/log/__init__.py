"""The log that topics live on: one contract, SQLite as the embedded default, Kafka as the scale-out path."""
