"""``platform access``."""
