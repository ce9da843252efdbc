"""``platform dashboards``."""
