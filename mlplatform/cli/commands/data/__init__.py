"""``platform data``: one module for each thing that is done with data."""
