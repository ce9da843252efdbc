"""The embedded Backstage: how its packages and its bundle are made, and how it is run."""
