"""``platform incidents``: what hurts, who has it, and what it was."""
