"""The training reference of a version: what its data and its answers looked like when it was made."""
