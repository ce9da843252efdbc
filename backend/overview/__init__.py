"""What the list of all models shows, kept ready, and the figures that the platform is held to."""
