"""Signed gate results, verified and stored per artefact digest."""
