"""Add lines to a file and leave every byte that was there as it was: line endings, byte order mark, blank lines at the end."""

_BOM = "\ufeff"


def with_additions(before: bytes, after: str) -> bytes | None:
    """Return the file ``before`` with the lines that ``after`` has more; nothing if ``after`` lacks or changes a line of it.

    ``after`` has ``\\n`` between lines, ``before`` whatever it has. A line with a list in brackets may have grown at the list's
    end. New lines end as most lines of the file do.
    """
    text = before.decode("utf-8")
    mark = _BOM if text.startswith(_BOM) else ""
    old = text.removeprefix(_BOM).split("\n")
    whole = old[-1] == ""
    if whole:
        old.pop()
    end = "\r\n" if 2 * sum(line.endswith("\r") for line in old) > len(old) else "\n"
    new = after.removesuffix("\n").split("\n") if after else []
    made: list[str] = []
    position = 0
    for line in new:
        ended = position < len(old) - 1 or whole
        bare = old[position].removesuffix("\r" if ended else "") if position < len(old) else None
        if bare is not None and (grown := _grown(bare, line)) is not None:
            made.append(f"{grown}{old[position][len(bare) :] if ended else ''}")
            made.append("\n" if ended else end)
            position += 1
        else:
            made.append(f"{line}{end}")
    if position < len(old):
        return None
    return f"{mark}{''.join(made)}".encode()


def _grown(before: str, after: str) -> str | None:
    """Return ``after`` if it is ``before``, or that with more in the list that it ends with."""
    if before == after:
        return after
    start, bracket, rest = before.rpartition("]")
    longer = (
        bool(bracket) and before.startswith("default-groups") and after.startswith(start) and after.endswith(f"]{rest}")
    )
    return after if longer and len(after) > len(before) else None


def below(before: str) -> str:
    """Return a text with what has to come between it and something new below: nothing of it is taken away."""
    if not before:
        return ""
    ended = before if before.endswith("\n") else f"{before}\n"
    return ended if ended.endswith("\n\n") else f"{ended}\n"
