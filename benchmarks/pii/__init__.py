"""Personal data: what is found of it, and how fast."""
