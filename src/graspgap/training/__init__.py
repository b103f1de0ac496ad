"""How it is learned: batches, the two training loops, checkpoints, exact resume."""
