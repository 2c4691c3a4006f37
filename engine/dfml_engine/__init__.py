"""The machine of dfml: firing rules, workers, runtimes and gateways."""
