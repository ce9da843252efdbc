"""Hold a converted template against the original: both rendered with the same answers, compared byte by byte."""

import itertools
import json
import random
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaffolder.cookiecutter.context import Asked, Context, Variable
from scaffolder.cookiecutter.limits import DEFAULT, Limits
from scaffolder.cookiecutter.process import Answer, Request, render_apart
from scaffolder.cookiecutter.source import CONTEXT_FILE
from scaffolder.errors import ScaffoldError
from scaffolder.names import ANSWERS_FILE


@dataclass(frozen=True)
class Difference:
    """A file that the two engines did not make alike."""

    path: str
    how: str


@dataclass(frozen=True)
class Compared:
    """What both engines made of the same answers."""

    answers: Mapping[str, Any]
    files: int
    differences: tuple[Difference, ...]
    fault: str | None = None
    """What the engine said that could not render, where the other could."""
    refused: str | None = None
    """What both said, where neither could."""


def compare(
    original: Path,
    converted: Path,
    answers: Sequence[Mapping[str, Any]],
    renamed: Mapping[str, str],
    *,
    context_file: str = CONTEXT_FILE,
    trusted: bool = False,
    limits: Limits = DEFAULT,
) -> list[Compared]:
    """Render both with each of the answers and compare every file: name, bytes and whether it may be executed.

    With ``trusted`` the original's hooks run, so pass that for templates of your own only.
    """
    with tempfile.TemporaryDirectory(prefix="compare-") as temporary:
        root = Path(temporary)
        given = [(one, root / f"cookiecutter-{number}") for number, one in enumerate(answers)]
        first = render_apart(Request("cookiecutter", original, given, context_file, trusted=trusted), limits)
        data = [
            ({renamed.get(name, name): value for name, value in one.items()}, root / f"copier-{number}")
            for number, one in enumerate(answers)
        ]
        second = render_apart(Request("copier", converted, data), limits)
        return [_compared(one, left, right) for one, left, right in zip(answers, first, second, strict=True)]


def _compared(answers: Mapping[str, Any], left: Answer | ScaffoldError, right: Answer | ScaffoldError) -> Compared:
    if isinstance(left, ScaffoldError) or isinstance(right, ScaffoldError):
        said = [
            f"{engine}: {made.message}"
            for engine, made in (("Cookiecutter", left), ("Copier", right))
            if isinstance(made, ScaffoldError)
        ]
        alone = len(said) == 1
        return Compared(answers, 0, (), said[0] if alone else None, None if alone else "; ".join(said))
    before, after = _files(left.project), _files(right.project)
    after.pop(ANSWERS_FILE, None)
    found = [Difference(path, _how(before.get(path), after.get(path))) for path in sorted({*before, *after})]
    return Compared(answers, len(before), tuple(item for item in found if item.how))


def _files(folder: Path) -> dict[str, tuple[bytes, bool]]:
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), bool(path.stat().st_mode & stat.S_IXUSR))
        for path in folder.rglob("*")
        if path.is_file()
    }


def _how(before: tuple[bytes, bool] | None, after: tuple[bytes, bool] | None) -> str:
    if before is None:
        return "is made by Copier alone"
    if after is None:
        return "is made by Cookiecutter alone"
    if before[0] != after[0]:
        pairs = enumerate(zip(before[0], after[0], strict=False))
        place = next((at for at, pair in pairs if pair[0] != pair[1]), min(len(before[0]), len(after[0])))
        return f"differs from byte {place}, in line {before[0][:place].count(10) + 1}"
    return "" if before[1] == after[1] else "differs in whether it may be executed"


def covering(context: Context, most: int = 40, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Yield answers in which every pair of choices of two variables occurs, as far as ``most`` sets of answers reach.

    Only choices and yes-or-no questions vary; everything else takes its default. Pairs are covered greedily.
    """
    options = {variable.name: values for variable in context.variables if len(values := _values(variable)) > 1}
    if not options:
        yield {}
        return
    names = list(options)
    left = {
        ((first, one), (second, other))
        for first, second in itertools.combinations(names, 2)
        for one in range(len(options[first]))
        for other in range(len(options[second]))
    } or {((names[0], index), (names[0], index)) for index in range(len(options[names[0]]))}
    source = random.Random(seed)  # noqa: S311 - it spreads choices, it keeps no secret
    for _ in range(most):
        if not left:
            return
        best = max(
            (_candidate(names, options, left, source) for _ in range(30)), key=lambda row: len(left & _pairs(row))
        )
        left -= _pairs(best)
        yield {name: options[name][index] for name, index in best.items()}


def _candidate(
    names: Sequence[str], options: Mapping[str, Sequence[Any]], left: set[Any], source: random.Random
) -> dict[str, int]:
    row = {name: source.randrange(len(options[name])) for name in names}
    (first, one), (second, other) = source.choice(sorted(left))
    return row | {first: one, second: other}


def _pairs(row: Mapping[str, int]) -> set[Any]:
    items = list(row.items())
    return set(itertools.combinations(items, 2)) or {(items[0], items[0])}


def _values(variable: Variable) -> list[Any]:
    if variable.asked is Asked.YES_NO:
        return [True, False]
    if variable.asked is Asked.CHOICE:
        return [item for item in variable.value if not isinstance(item, str) or "{{" not in item]
    return []


def describe(answers: Mapping[str, Any]) -> str:
    """Return answers as they are written on a command line."""
    return " ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in answers.items()
    )
