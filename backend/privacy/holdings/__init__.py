"""What the platform holds and deletes when it is over: one module for each kind of place."""
