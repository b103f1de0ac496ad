"""Where a policy goes: a trained network as the servo sees it."""
