"""Many attempts at once: worlds and policies on all cores, into a dataset that survives a crash."""
