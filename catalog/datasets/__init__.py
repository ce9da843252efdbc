"""Data sets and how sensitive each of their columns is."""
