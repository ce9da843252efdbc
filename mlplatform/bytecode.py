"""Where Python puts what it compiles: never beside the code of a model."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_out_of_artefacts() -> Iterator[None]:
    """Write no bytecode for as long as the block runs, unless this Python keeps it in a place of its own.

    A model that brings code would no longer be what was trained and registered: its digest covers every file.
    """
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = before or sys.pycache_prefix is None
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
