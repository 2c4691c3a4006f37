"""How long a request takes and how many go through: chains of steps over REST, with and without the tap."""
