"""How simulation becomes useful in reality: one file per method, losses as small pure functions."""
