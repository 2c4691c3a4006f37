"""Every fault of the other apps, planted in a running stack and looked for in what its tap has kept."""
