"""Choosing adapters and policies without a real label, a real mask or a test object: scores, and their record."""
