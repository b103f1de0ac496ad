"""Feature-level adaptation: the grasp network is made to see both domains alike."""
