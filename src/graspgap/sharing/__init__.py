"""Datasets and runs to the Hugging Face Hub and back."""
