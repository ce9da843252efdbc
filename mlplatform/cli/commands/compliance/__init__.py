"""``platform compliance``: controls and waivers."""
