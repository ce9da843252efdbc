"""The audit log: appending and verifying."""
