"""Import a Cookiecutter template: fetch, convert, and hold the result against the original."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scaffolder.cookiecutter.compare import Compared, compare, covering
from scaffolder.cookiecutter.context import read_context
from scaffolder.cookiecutter.convert import Import, convert
from scaffolder.cookiecutter.limits import DEFAULT, Limits
from scaffolder.cookiecutter.names import copier_names
from scaffolder.cookiecutter.source import CONTEXT_FILE, SourcePolicy, fetched, template_folder
from scaffolder.errors import Collision, InvalidAnswer

_REPLAY_BYTES = 1 << 20
ANSWERS = "answers.yml"


@dataclass(frozen=True)
class Imported:
    """What came of an import."""

    imports: list[Import]
    verified: Mapping[str, list[Compared]] = field(default_factory=dict)
    """For each template that was held against its original: what both engines made, by its folder."""

    @property
    def identical(self) -> bool:
        """Whether every file that was compared came out the same."""
        return not any(one.differences or one.fault for found in self.verified.values() for one in found)


def import_template(
    source: str,
    out: Path,
    *,
    policy: SourcePolicy,
    checkout: str | None = None,
    directory: str | None = None,
    context_file: str = CONTEXT_FILE,
    replay: Path | None = None,
    verify: int = 0,
    progress: Callable[[str], None] = lambda _message: None,
    limits: Limits = DEFAULT,
) -> Imported:
    """Convert the Cookiecutter template at ``source`` into a Copier template in ``out``.

    With ``verify`` both are rendered with up to that many sets of answers, which together have every pair of choices, and
    compared byte by byte; hooks count for neither side then. ``replay`` is a file of Cookiecutter's replay folder; its
    answers are written to ``answers.yml``, for ``copier copy --data-file``.

    Raises:
        Collision: ``out`` holds something.
        InvalidAnswer: the replay file is none.
        TemplateRefused: the source is not on the allow-list, or the template is broken or hostile.
        ScaffoldError: it is no Cookiecutter template, or can't be fetched.
    """
    progress(f"Fetching {source}")
    with fetched(source, policy, checkout=checkout, limits=limits) as repository:
        folder = template_folder(repository.folder, directory)
        answers = _replayed(replay) if replay is not None else None
        progress("Converting")
        shown = f"{source}#{directory}" if directory else source
        made = convert(
            folder, out, source=shown, commit=repository.commit, context_file=context_file, limits=limits,
            name=repository.name if directory is None else None,
        )  # fmt: skip
        if answers is not None:
            _write_answers(answers, read_context(folder, context_file, limits).variables, out)
        verified = {}
        if verify:
            for number, one in enumerate(made, 1):
                progress(f"Rendering both and comparing ({number} of {len(made)})")
                verified[str(one.folder)] = _verified(folder, out, one, context_file, verify, limits)
    return Imported(made, verified)


def _verified(folder: Path, out: Path, made: Import, context_file: str, most: int, limits: Limits) -> list[Compared]:
    import tempfile

    original = made.original if made.original is not None else folder
    context = read_context(original, context_file, limits)
    with tempfile.TemporaryDirectory(prefix="verify-") as temporary:
        plain = convert(
            original,
            Path(temporary, "plain"),
            source="verify",
            context_file=context_file,
            with_hooks=False,
            limits=limits,
        )[0]
        sets = list(covering(context, most))
        return compare(original, plain.folder, sets, plain.report.renamed, context_file=context_file, limits=limits)


def _replayed(file: Path) -> dict[str, Any]:
    """Return the answers of a replay file of Cookiecutter's, or of a ``.cruft.json``."""
    if not file.is_file() or file.stat().st_size > _REPLAY_BYTES:
        raise InvalidAnswer(f"{file} is no replay file")
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        answers = document.get("cookiecutter") or document["context"]["cookiecutter"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidAnswer(f"{file} is no replay file: it has no `cookiecutter` with answers") from None
    if not isinstance(answers, dict):
        raise InvalidAnswer(f"{file} is no replay file: `cookiecutter` is no mapping")
    return {str(name): value for name, value in answers.items() if not str(name).startswith("_")}


def _write_answers(answers: Mapping[str, Any], variables: Any, out: Path) -> None:
    import yaml

    if (out / ANSWERS).exists():
        raise Collision(f"{out / ANSWERS} is there already")
    names = copier_names(variable.name for variable in variables)
    data = {names[name]: value for name, value in answers.items() if name in names}
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    (out / ANSWERS).write_text(text, encoding="utf-8")
