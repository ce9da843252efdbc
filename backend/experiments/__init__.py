"""Shadow runs and A/B experiments: a challenger tried beside the champion, and what was decided by it."""
