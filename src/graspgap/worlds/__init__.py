"""Where attempts happen: the `World` protocol, the simulated cell, the stand-in reality, rendering, randomization."""
