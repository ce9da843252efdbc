"""Detectors that are services: texts leave the company's own machines for them, so they are used only when asked for."""
