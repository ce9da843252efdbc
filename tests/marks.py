"""Marks that several rooms of tests use."""

import pytest

on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what starts many processes, and to which the kind of database makes no difference but the time: others of its room
run on both kinds."""
