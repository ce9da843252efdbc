"""Access decisions."""
