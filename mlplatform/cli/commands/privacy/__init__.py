"""``platform retention``, ``platform privacy`` and ``platform keys``."""
