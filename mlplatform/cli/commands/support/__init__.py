"""``platform support``: asking the platform team, and the survey."""
