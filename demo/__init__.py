"""The platform's story, told on real data by one command: ``make demo``."""
