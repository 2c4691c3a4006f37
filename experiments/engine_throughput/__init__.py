"""Records a second through each of the engine's operators, from topics that were filled beforehand."""
