"""An arm behind a socket: `server` is the robot's computer, `client` the world that graspgap drives."""
