"""The tables that people read, each a function of the events alone.

The platform writes them with this code, and the verifier makes them again from the events with the same code and compares: so a
line can't be added, changed or left out. What lies before the period (``context``) completes rows and makes none of its own.
"""

from evidence.tables.all import CsvTables, TableSet, cells
from evidence.tables.base import Noted

__all__ = ["CsvTables", "Noted", "TableSet", "cells"]
