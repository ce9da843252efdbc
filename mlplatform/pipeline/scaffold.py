"""A new repository, as somebody at a terminal sees it come about: followed to its end, then cloned."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlplatform.client import PlatformClient, PlatformUnreachable
from mlplatform.pipeline.errors import StageRefused

Json = dict[str, Any]
_PATIENCE = 120.0
_PAUSE = 1.0


def check_place(place: Path) -> None:
    """Refuse a place for a clone where something is already, before anything is asked for.

    Raises:
        StageRefused: it is no empty folder.
    """
    fix = "choose another folder with --dest"
    try:
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise StageRefused(f"{place} is there already and is not a folder", fix=fix)
        if place.is_dir() and any(place.iterdir()):
            raise StageRefused(f"{place} is there already and not empty", fix=fix)
    except OSError as fault:
        raise StageRefused(f"{place} can't be used: {fault.strerror}", fix=fix) from fault


def follow(client: PlatformClient, scaffold: Json, *, show: Callable[[Json], None]) -> Json:
    """Show a scaffold's progress until it is over, and return it; a connection that breaks is taken up again.

    Raises:
        PlatformUnreachable: the platform stays away for minutes. The scaffold goes on without us.
    """
    seen, silent_since = 0, time.monotonic()
    while True:
        try:
            for name, document in client.scaffold_events(scaffold["id"], after=seen):
                silent_since = time.monotonic()
                if name == "end":
                    return document
                seen = document["seq"]
                show(document)
        except PlatformUnreachable:
            if time.monotonic() - silent_since > _PATIENCE:
                raise
        time.sleep(_PAUSE)


def clone(url: str, place: Path) -> None:
    """Clone a repository into its place with git as the user has set it up: whole, or not at all.

    Raises:
        StageRefused: git did not do it; the repository itself is made all the same.
    """
    fix = f"clone it by hand: git clone {url}"
    staging = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=place.parent, prefix=".new-"))
        folder = staging / "repository"
        # The platform's own git host is a folder of this machine, which users of git may have been kept from.
        command = ["git", "clone", "--quiet", "--", url, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise StageRefused(f"the repository is made, but git could not clone it: {said}", fix=fix)
        folder.rename(place)  # replaces an empty folder, and no other
    except OSError as fault:
        reason = fault.strerror or str(fault)
        raise StageRefused(f"the repository is made, but not cloned to {place}: {reason}", fix=fix) from fault
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
