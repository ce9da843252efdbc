"""``platform fleet``."""
