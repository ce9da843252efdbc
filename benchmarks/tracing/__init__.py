"""What watching costs a served model."""
