"""Documents about a version that are made from what is on record, and from nothing else."""
