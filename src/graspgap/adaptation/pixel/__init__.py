"""Pixel-level adaptation: simulated pictures are made to look real."""
