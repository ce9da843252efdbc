"""Data-subject requests: a person found and erased in all that the platform holds, by keyed hashes of what they go by."""
