"""Add to files that are there already, without changing what they say."""
