"""The gateways: the model gateway calls models, the pipeline gateway takes requests and answers them."""
