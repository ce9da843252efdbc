"""Partitions of a data lake, on a file system or an object store: found, read, and replaced as a whole.

The layout is Hive's: ``<lake>/<folder>/<column>=<day>/<file>.parquet``. What a reader may rely on while a partition is
replaced:

* On a file system that can exchange two folders in one step (Linux: ext4, XFS, Btrfs, tmpfs), whoever opens the folder finds
  all of the old files or all of the new ones. A reader that has listed the old ones and opens them afterwards finds them
  gone and reads again; no name is ever used for other content, so it can't mix the two.
* Everywhere else the new files come first, then the manifest in one step, then the old files go. Readers that go by
  the manifest (:meth:`Lake.files`) see the old or the new ones; those that take every file may see both for a moment.

>>> import tempfile
>>> lake = open_lake(tempfile.mkdtemp())
>>> lake.days("flights", "date")
[]
"""

from mlplatform.batch.lake.base import Lake, LakeFile, Staging, file_digest, part_name
from mlplatform.batch.lake.places import open_lake, redacted_address

__all__ = ["Lake", "LakeFile", "Staging", "file_digest", "open_lake", "part_name", "redacted_address"]
