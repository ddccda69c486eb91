"""Synthetic images with known causes of failure."""
