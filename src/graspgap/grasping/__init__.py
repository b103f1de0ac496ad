"""Who acts: the attempt loop, the cross-entropy servo, scripted and random policies."""
