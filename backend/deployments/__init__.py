"""Admission, rollouts, rollback and traffic."""
