"""``platform experiment``: a challenger tried beside what is live."""
