"""Verifies evidence packs and sealed segments of the audit log offline; needs nothing of the platform."""
