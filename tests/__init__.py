"""Tests of imblens, in the folders of the package."""
