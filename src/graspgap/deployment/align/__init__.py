"""Where a real camera stands: from points whose place in the robot's base frame is known."""
