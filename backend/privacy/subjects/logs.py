"""Logs: lines that hold the person are overwritten where they stand.

The process that writes a log has it open and appends to it, so the file can be neither replaced nor cut. Overwriting a line by
one of the same length needs no lock, and may be cut off and done again.
"""

from collections.abc import Iterator
from pathlib import Path

from backend.core.container import Services
from backend.local.folders import Folders
from backend.privacy.holdings.logs import log_files
from backend.privacy.models import SubjectFinding
from backend.privacy.subjects.matching import Matcher
from backend.privacy.subjects.places import Spot

MARK = b"[erased]"


class LogPlace:
    """All logs under HOME/logs."""

    kind = "log"

    def __init__(self, services: Services) -> None:
        self._folders = Folders(services.settings.home)

    def search(self, matcher: Matcher, hashes: list[str]) -> Iterator[Spot]:
        """Yield files with the number of lines that hold the person."""
        for path, refs, _ in log_files(self._folders):
            try:
                count = sum(1 for _ in lines_of(path, matcher))
            except FileNotFoundError:
                continue  # rotated away meanwhile; its lines are in the next file
            if count:
                yield Spot(path.relative_to(self._folders.logs).as_posix(), refs, count)

    def erase(self, matcher: Matcher, finding: SubjectFinding, hashes: list[str]) -> None:
        """Overwrite the lines, in that file and in those that it was rotated to since."""
        path = self._folders.logs / finding.location
        for file in sorted(path.parent.glob(f"{path.name.partition('.log')[0]}.log*")):
            with file.open("r+b") as stream:
                for start, length in list(lines_of(file, matcher)):
                    stream.seek(start)
                    stream.write(MARK[:length] + b" " * max(0, length - len(MARK)))


def lines_of(path: Path, matcher: Matcher) -> Iterator[tuple[int, int]]:
    """Yield beginning and length, without the line's end, of each line that holds the person."""
    start = 0
    with path.open("rb") as stream:
        for line in stream:
            text = line.rstrip(b"\r\n")
            if matcher.in_text(text.decode("utf-8", "replace")):
                yield start, len(text)
            start += len(line)
