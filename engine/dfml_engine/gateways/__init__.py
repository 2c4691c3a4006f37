"""Where requests enter and leave: the model gateway, the pipeline gateway and its REST face."""
