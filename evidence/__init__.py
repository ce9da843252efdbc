"""Verifies evidence packs offline; needs nothing of the platform."""
