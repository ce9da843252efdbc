"""``platform batch``: one module for each kind of thing that it is about."""
