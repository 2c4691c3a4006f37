"""Kill parts of a running house at random, and prove from the log that nothing was lost, doubled or unaccounted."""
