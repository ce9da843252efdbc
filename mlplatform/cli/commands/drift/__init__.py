"""``platform drift``: whether what is live still sees and answers what it was made for."""
