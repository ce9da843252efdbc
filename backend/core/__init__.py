"""What all domains stand on: configuration, database, errors, time, ids."""
