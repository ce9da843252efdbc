"""Exchange two paths in one step: ``renameat2(2)`` with ``RENAME_EXCHANGE`` on Linux, ``renamex_np`` on macOS."""

import ctypes
import errno
import os
import sys
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_RENAME_SWAP = 2
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}


class ExchangeUnsupported(OSError):
    """The system or the file system has no such call."""


def exchange(one: Path, other: Path) -> None:
    """Exchange two paths of one file system, both of which exist.

    Raises:
        ExchangeUnsupported: it can't be done here; nothing has changed.
        OSError: it went wrong; nothing has changed.
    """
    library = ctypes.CDLL(None, use_errno=True)
    first, second = os.fsencode(one), os.fsencode(other)
    if sys.platform == "linux" and hasattr(library, "renameat2"):
        status = library.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE)
    elif sys.platform == "darwin" and hasattr(library, "renamex_np"):
        status = library.renamex_np(first, second, _RENAME_SWAP)
    else:
        raise ExchangeUnsupported(errno.ENOSYS, "no exchange of paths on this system")
    if status == 0:
        return
    code = ctypes.get_errno()
    kind = ExchangeUnsupported if code in _UNSUPPORTED else OSError
    raise kind(code, os.strerror(code), str(other))
