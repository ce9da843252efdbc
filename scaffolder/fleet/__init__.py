"""The fleet: all repositories that came from a template, and the campaigns that bring them to a later version."""
