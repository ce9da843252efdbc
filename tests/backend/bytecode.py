"""What model processes compile, kept for all tests: in a home of its own, each would compile MLflow and its friends again."""

from pathlib import Path

from backend.local.folders import Folders

_SHARED = Path(__file__).parents[2] / ".pytest_cache" / "bytecode"


def share_bytecode(home: Path) -> None:
    """Have the processes of this home use what others have compiled."""
    _SHARED.mkdir(parents=True, exist_ok=True)
    own = Folders(home).bytecode
    own.parent.mkdir(parents=True, exist_ok=True)
    if not own.is_symlink():
        own.symlink_to(_SHARED)
