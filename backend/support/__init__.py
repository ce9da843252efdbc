"""What people ask the platform team, how fast it answers, and how satisfied they are."""
