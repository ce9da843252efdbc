"""``platform data``: what is in data sets, and how sensitive it is."""
