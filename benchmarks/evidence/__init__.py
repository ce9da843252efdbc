"""How long a year of evidence takes to export and to verify, and how much memory."""
