"""Convert the files of a template: which are rendered, under which names, and with which line ends."""

import fnmatch
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from scaffolder.cookiecutter.context import Context
from scaffolder.cookiecutter.limits import Limits
from scaffolder.cookiecutter.report import Kind, Report
from scaffolder.cookiecutter.rewrite import Refused, Rewriter
from scaffolder.cookiecutter.syntax import Syntax, quoted
from scaffolder.errors import TemplateRefused

SUBDIRECTORY = "template"
PARTIALS = "templates"
"""Cookiecutter's folder of files that are only included, and the converted template's too."""
_SUFFIXES = (".jinja", ".tmpl", ".copier", ".cc2c")
_NAME_BYTES = 255


@dataclass(frozen=True)
class Source:
    """A file of the template's project folder."""

    path: PurePosixPath
    """From the project folder, as its author named it."""
    file: Path
    copy_only: bool
    """``_copy_without_render`` names it."""
    raw_from: int
    """How many parts of the path Cookiecutter renders: those below a folder that is only copied it does not."""


@dataclass(frozen=True)
class Converted:
    """A file of the Copier template."""

    path: PurePosixPath
    content: bytes
    mode: int


def find_project(folder: Path, syntax: Syntax, report: Report) -> Path:
    """Return the folder that becomes the project, found as Cookiecutter finds it.

    Raises:
        TemplateRefused: there is none.
    """
    start = str(syntax.options.get("variable_start_string", "{{"))
    end = str(syntax.options.get("variable_end_string", "}}"))
    found = sorted(
        path for path in folder.iterdir() if "cookiecutter" in path.name and start in path.name and end in path.name
    )
    if not found or not found[0].is_dir():
        raise TemplateRefused(
            f"there is no project folder, such as `{start}cookiecutter.project_slug{end}`, in {folder.name}"
        )
    for other in found[1:]:
        fix = "remove one of the two; Cookiecutter takes whichever it comes upon first"
        report.add(Kind.NEEDS_YOU, other.name, None, f"is a second project folder beside `{found[0].name}`", fix)
    return found[0]


def list_sources(project: Path, context: Context, report: Report) -> list[Source]:
    """Return the project's files in order, and note what is left out of them."""
    walk = _Walk(project, tuple(context.settings.get("_copy_without_render", ())), report)
    found = list(walk.below(PurePosixPath(), None))
    for pattern in walk.patterns:
        if pattern not in walk.used:
            report.add(Kind.DROPPED, context.file, None, f"`{pattern}` of _copy_without_render matches nothing")
    return found


@dataclass
class _Walk:
    project: Path
    patterns: tuple[str, ...]
    report: Report
    used: set[str] = field(default_factory=set)

    def below(self, place: PurePosixPath, raw_from: int | None) -> Iterator[Source]:
        entries = sorted(os.scandir(self.project / place), key=lambda entry: entry.name)
        if not entries and place.parts:
            message = "is an empty folder; Git holds none, so it is left out"
            self.report.add(Kind.DIFFERENT, place.as_posix(), None, message)
        for entry in entries:
            path = place / entry.name
            copied = raw_from is None and self._copied(path)
            if not entry.is_dir():
                whole = len(path.parts)
                yield Source(
                    path, Path(entry.path), copied or raw_from is not None, whole if raw_from is None else raw_from
                )
            elif copied:
                yield from self.below(path, len(path.parts))
            elif entry.is_symlink() and raw_from is None:
                message = "is a link to a folder: Cookiecutter makes an empty folder of it, which is left out"
                self.report.add(Kind.DIFFERENT, path.as_posix(), None, message)
            else:
                yield from self.below(path, raw_from)

    def _copied(self, path: PurePosixPath) -> bool:
        matching = {pattern for pattern in self.patterns if fnmatch.fnmatch(str(path), pattern)}
        self.used |= matching
        return bool(matching)


def choose_suffix(names: Iterator[str]) -> str:
    """Return a suffix for rendered files that no file of the template has for reasons of its own."""
    endings = {PurePosixPath(name).suffix for name in names}
    return next(suffix for suffix in (*_SUFFIXES, ".render-with-copier") if suffix not in endings)


@dataclass
class FileConverter:
    """Converts the files of one template."""

    rewriter: Rewriter
    context: Context
    report: Report
    suffix: str
    limits: Limits

    def names(self, sources: list[Source], renamed: Mapping[PurePosixPath, str]) -> dict[PurePosixPath, PurePosixPath]:
        """Return where each file goes below the Copier template's project folder, without suffix.

        ``renamed`` has the templates of names that hooks change, by the path of the file or folder that has them.
        """
        return {source.path: self._name(source, renamed) for source in sources}

    def _name(self, source: Source, renamed: Mapping[PurePosixPath, str]) -> PurePosixPath:
        parts = []
        for index, part in enumerate(source.path.parts):
            whole = PurePosixPath(*source.path.parts[: index + 1])
            if whole in renamed:
                made = renamed[whole]
            elif index >= source.raw_from:
                made = self.rewriter.syntax.literal(part)
            else:
                try:
                    made = self.rewriter.rewrite(part, str(whole))
                except Refused as refused:
                    raise TemplateRefused(f"the name {whole} {refused.message}", fix=refused.fix) from refused
            if "/" in made or len(f"{made}{self.suffix}".encode()) > _NAME_BYTES:
                raise TemplateRefused(
                    f"the name {whole} can't be written for Copier: it would be too long or hold a slash"
                )
            parts.append(made)
        return PurePosixPath(*parts)

    def convert(self, source: Source, name: PurePosixPath) -> Converted:
        """Return one file for Copier, rendered there or copied."""
        mode = source.file.stat().st_mode & 0o777
        where = str(source.path)
        if source.copy_only or _is_binary(source.file):
            return self._copied(name, source.file.read_bytes(), mode)
        try:
            text, newline = _read(source.file, self.context)
        except UnicodeDecodeError as fault:
            fix = "save it as UTF-8, or name it in _copy_without_render; Cookiecutter fails on it"
            self.report.add(
                Kind.NEEDS_YOU, where, None, f"is text but not UTF-8 (byte {fault.start}); it is copied", fix
            )
            return self._copied(name, source.file.read_bytes(), mode)
        if len(text) > self.limits.template_bytes and self.rewriter.syntax.has_jinja(text):
            raise TemplateRefused(f"{where} is a template of {len(text)} characters")
        if not self.rewriter.syntax.has_jinja(text):
            return self._copied(name, text.replace("\n", newline).encode(), mode)
        try:
            rewritten = self.rewriter.rewrite(text, where)
            rewritten = self._with_line_ends(rewritten, newline, where)
        except Refused as refused:
            message = f"{refused.message}; the file is copied as it is, with its Jinja"
            self.report.add(Kind.NEEDS_YOU, where, refused.line, message, refused.fix)
            return self._copied(name, source.file.read_bytes(), mode)
        self.report.rendered += 1
        return Converted(name.with_name(f"{name.name}{self.suffix}"), rewritten.encode(), mode)

    def partial(self, path: PurePosixPath, file: Path) -> Converted:
        """Return a file that others include, which is never rendered by itself."""
        where = f"{PARTIALS}/{path}"
        mode = file.stat().st_mode & 0o777
        try:
            text = _read(file, self.context)[0]
            return Converted(PurePosixPath(PARTIALS) / path, self.rewriter.rewrite(text, where).encode(), mode)
        except UnicodeDecodeError:
            return Converted(PurePosixPath(PARTIALS) / path, file.read_bytes(), mode)
        except Refused as refused:
            self.report.add(Kind.NEEDS_YOU, where, refused.line, refused.message, refused.fix)
            return Converted(PurePosixPath(PARTIALS) / path, file.read_bytes(), mode)

    def _copied(self, name: PurePosixPath, content: bytes, mode: int) -> Converted:
        self.report.copied += 1
        return Converted(name, content, mode)

    def _with_line_ends(self, text: str, newline: str, where: str) -> str:
        """Let the file's own line ends come out, which Jinja turns into ``\\n`` and Cookiecutter back again."""
        if newline == "\n":
            return text
        if "extends" in text:
            message = "has line ends other than LF and builds on another file; it comes out with LF"
            self.report.add(Kind.DIFFERENT, where, None, message)
            return text
        block = self.rewriter.syntax.block
        return f"{block(f'filter replace({quoted(chr(10))}, {quoted(newline)})')}{text}{block('endfilter')}"


def _is_binary(file: Path) -> bool:
    """Judge as Cookiecutter does, with the same library."""
    from binaryornot.check import is_binary

    return bool(is_binary(str(file)))


def _read(file: Path, context: Context) -> tuple[str, str]:
    """Return a file's text with ``\\n`` between lines, and the line end that Cookiecutter would write.

    Without ``_new_lines`` it takes the first of the kinds that it has come upon while reading the first line.
    """
    text = file.read_bytes().decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    if configured := context.settings.get("_new_lines"):
        return text, str(configured)
    with file.open(encoding="utf-8") as stream:
        stream.readline()
        found = stream.newlines
    return text, (found[0] if isinstance(found, tuple) else found) or "\n"


def will_render(source: Source, syntax: Syntax) -> bool:
    """Say whether a file becomes a template of Copier's, and so gets its suffix."""
    if source.copy_only or _is_binary(source.file):
        return False
    try:
        return syntax.has_jinja(source.file.read_bytes().decode("utf-8"))
    except UnicodeDecodeError:
        return False
