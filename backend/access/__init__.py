"""Who may do what, decided by Cedar policies; time-bound grants, access reviews and separation of duties."""
