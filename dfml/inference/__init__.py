"""Open Inference Protocol payloads: protobuf and numpy, JSON and binary REST bodies at the edge."""
