"""graspgap: learn to grasp in simulation, from one RGB camera, and measure what crosses the gap to reality."""

__version__ = "0.1.0"
