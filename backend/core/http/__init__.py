"""What every request goes through: problem details, limits, headers, metrics, logs."""
