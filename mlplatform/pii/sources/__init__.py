"""Where data lies: files, folders, object stores and databases, read in batches of columns with bounded memory.

:func:`open_source` tells what an address stands for. Everything is only read, and nothing of it is ever run: no pickle is
loaded, no view or function is made.
"""

from mlplatform.pii.sources.base import Batch, Limits, SourceFailed, Table
from mlplatform.pii.sources.places import open_source

__all__ = ["Batch", "Limits", "SourceFailed", "Table", "open_source"]
