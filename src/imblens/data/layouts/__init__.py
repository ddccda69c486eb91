"""Readers of image sets on disk, one module per layout."""
