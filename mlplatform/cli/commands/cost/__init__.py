"""``platform cost``: what things cost, and what may be spent and taken up."""
