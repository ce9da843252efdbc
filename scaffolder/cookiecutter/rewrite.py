"""Rewrite Jinja that was written for Cookiecutter so that it says the same to Copier.

``cookiecutter.name`` becomes ``name``; the tags, filters and functions that Cookiecutter's extensions bring become what
Copier has; everything else stays, byte for byte. What Copier can't do is reported and left for a person.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from scaffolder.cookiecutter import builtins
from scaffolder.cookiecutter.names import unused
from scaffolder.cookiecutter.report import Kind, Report
from scaffolder.cookiecutter.syntax import Syntax, Token, quoted
from scaffolder.errors import TemplateRefused

if TYPE_CHECKING:
    from jinja2 import Environment

MAPPING = "cookiecutter"
"""Name of the mapping of all variables, in Cookiecutter and, where a template needs it whole, in Copier."""
SESSION = {
    "_template": "where the template came from",
    "_output_dir": "the folder above the project",
    "_repo_dir": "the template's folder on the machine",
    "_checkout": "the branch, tag or commit that was asked for",
}
"""What Cookiecutter adds to the variables for the time of a run."""
_SKIPPED = {
    "whitespace",
    "comment",
    "linecomment",
    "linecomment_begin",
    "linecomment_end",
    "comment_begin",
    "comment_end",
}


class Refused(Exception):
    """A piece of Jinja that has no counterpart; the file that it stands in can't be rendered by Copier."""

    def __init__(self, line: int, message: str, fix: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message
        self.fix = fix


@dataclass
class Rewriter:
    """Rewrites the Jinja of one template. It gathers what the questions have to provide for the rewritten files."""

    syntax: Syntax
    names: Mapping[str, str]
    """Name in Copier of each variable."""
    report: Report
    partials: Mapping[str, str] = field(default_factory=dict)
    """Path below the Copier template's root, of each file that another may include, by its name in Cookiecutter."""
    uses_mapping: bool = False
    """Whether a rewritten file needs the mapping of all variables."""
    stored: dict[str, str] = field(default_factory=dict)
    """Values that are made once and then remembered: their templates by name."""

    def rewrite(self, source: str, file: str, *, line: int = 1, earlier: Sequence[str] | None = None) -> str:
        """Return the source rewritten; ``line`` is where its first line stands in ``file``.

        ``earlier`` are the variables that may be referred to, in a question's default; a file may refer to all.

        Raises:
            Refused: it has something that Copier can't do, or is no Jinja.
        """
        from jinja2 import TemplateSyntaxError

        if not self.syntax.has_jinja(source):
            return source
        try:
            tokens = self.syntax.tokens(source)
            local = self._local_names(source)
        except TemplateSyntaxError as fault:
            raise Refused(
                line + fault.lineno - 1,
                f"is no valid Jinja: {fault.message}",
                "correct it; Cookiecutter fails on it too",
            ) from fault
        except RecursionError:
            raise TemplateRefused(f"{file} nests its Jinja too deep") from None
        work = _Rewriting(self, source, file, line - 1, earlier, local)
        rewritten = work.run(tokens)
        self._check(rewritten, file, line - 1)
        return rewritten

    def store(self, wanted: str, template: str) -> str:
        """Have a value made once and remembered in the answers file; return the name under which it is there."""
        name = unused(wanted, {*self.names.values(), *self.stored})
        self.stored[name] = template
        return name

    def _local_names(self, source: str) -> set[str]:
        """Return the names that a source gives a meaning of its own: loop variables, macros, and what ``set`` binds."""
        from jinja2 import nodes

        tree = self._cookiecutter_environment.parse(source)
        found = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
        found |= {node.name for node in tree.find_all(nodes.Macro)}
        found |= {node.target for node in tree.find_all(nodes.Import)}
        for node in tree.find_all(nodes.FromImport):
            found |= {name if isinstance(name, str) else name[1] for name in node.names}
        return found

    def _check(self, source: str, file: str, before: int) -> None:
        """Compile as Copier would, and note what nothing defines."""
        from jinja2 import TemplateSyntaxError, meta

        environment = self._copier_environment
        try:
            tree = environment.parse(source)
            environment.compile(source, None, None, raw=True)
        except TemplateSyntaxError as fault:
            fix = "rewrite it with what Jinja and Copier have, then give the file the template's suffix"
            raise Refused(before + fault.lineno, f"can't be rendered by Copier: {fault.message}", fix) from fault
        except RecursionError:
            raise TemplateRefused(f"{file} nests its Jinja too deep") from None
        known = {*self.names.values(), *self.stored, *environment.globals, MAPPING, "_copier_conf"}
        for name in sorted(meta.find_undeclared_variables(tree) - known):
            where = next((number for number, text in enumerate(source.split("\n"), 1) if name in text), 1)
            message = f"`{name}` is used, which nothing defines"
            fix = "Cookiecutter fails on it too unless it is never reached; define it or take it out"
            self.report.add(Kind.NEEDS_YOU, file, before + where, message, fix)

    @cached_property
    def _cookiecutter_environment(self) -> "Environment":
        from cookiecutter.environment import StrictEnvironment

        context = {MAPPING: {"_extensions": ["jinja2.ext.do", "jinja2.ext.loopcontrols"]}}
        environment: Environment = StrictEnvironment(context=context, **self.syntax.options)
        return environment

    @cached_property
    def _copier_environment(self) -> "Environment":
        from jinja2.sandbox import SandboxedEnvironment

        extensions = ["jinja2_ansible_filters.AnsibleCoreFiltersExtension"]
        environment = SandboxedEnvironment(extensions=extensions, **self.syntax.options)
        environment.globals["pathjoin"] = str
        return environment


@dataclass
class _Rewriting:
    """The rewriting of one source."""

    owner: Rewriter
    source: str
    file: str
    before: int
    """Lines before the source's first."""
    earlier: Sequence[str] | None
    local: set[str]

    def run(self, tokens: list[Token]) -> str:
        parts, position = [], 0
        for tag in _tags(tokens):
            parts += [self.source[position : tag[0].start], self._tag(tag)]
            position = tag[-1].end
        return "".join([*parts, self.source[position:]])

    def _tag(self, tag: list[Token]) -> str:
        inner = [token for token in tag[1:-1] if token.kind not in _SKIPPED]
        if tag[0].kind in {"block_begin", "linestatement_begin"} and inner and inner[0].kind == "name":
            first = inner[0].text
            if first == "now":
                return self._now(tag, inner)
            if first == "do":
                done = f"set _done ={self._between(inner[0].end, inner[1:], tag[-1].start)}"
                return self.source[tag[0].start : inner[0].start] + done + tag[-1].text
            if first in {"break", "continue"}:
                raise self._refused(
                    inner[0],
                    f"the tag `{first}` is an extension",
                    f"write the loop without `{first}`, with a condition",
                )
            if first in {"include", "import", "from", "extends"}:
                return tag[0].text + self._including(tag, inner) + tag[-1].text
        return tag[0].text + self._between(tag[0].end, inner, tag[-1].start) + tag[-1].text

    def _between(self, start: int, tokens: list[Token], end: int) -> str:
        """Return the source between two places, with what the tokens in it refer to rewritten."""
        parts, position, index = [], start, 0
        while index < len(tokens):
            replaced = self._replacement(tokens, index)
            if replaced is None:
                index += 1
                continue
            text, count = replaced
            parts += [self.source[position : tokens[index].start], text]
            index += count
            position = tokens[index - 1].end
        return "".join([*parts, self.source[position:end]])

    def _replacement(self, tokens: list[Token], index: int) -> tuple[str, int] | None:
        """Return what stands for the tokens at ``index`` and how many they are, or nothing where they stay."""
        token = tokens[index]
        if token.kind != "name":
            return None
        before = tokens[index - 1].text if index else ""
        after = tokens[index + 1].text if index + 1 < len(tokens) else ""
        if before == "|" or (before == "filter" and index == 1):
            return self._filter(tokens, index)
        if before == "." or (after == "=" and before in {"(", ","}):
            return None
        if token.text == MAPPING and MAPPING not in self.local:
            return self._reference(tokens, index)
        if token.text in builtins.FUNCTIONS and after == "(" and token.text not in self.local:
            count = _call_length(tokens, index + 1)
            arguments = self._between(
                tokens[index + 1].end, tokens[index + 2 : index + count], tokens[index + count].start
            )
            wanted, template = builtins.FUNCTIONS[token.text](self.owner.syntax, arguments)
            name = self.owner.store(wanted, template)
            message = f"`{token.text}()` is called once, and its value is kept in the answers file as `{name}`"
            fix = "so an update does not change it; keep secrets out of templates"
            self._note(Kind.DIFFERENT, token, message, fix)
            return name, count + 1
        return None

    def _reference(self, tokens: list[Token], index: int) -> tuple[str, int]:
        """Rewrite ``cookiecutter.name`` and ``cookiecutter["name"]``; anything else needs the mapping as a whole."""
        rest = [token.text for token in tokens[index + 1 : index + 4]]
        name, count = None, 1
        if rest[:1] == ["."] and len(rest) > 1:
            name, count = rest[1], 3
        elif rest[:1] == ["["] and rest[2:3] == ["]"] and tokens[index + 2].kind == "string":
            name, count = rest[1][1:-1], 4
        if name in self.owner.names:
            copier = self.owner.names[str(name)]
            if self.earlier is not None and name not in self.earlier:
                raise self._refused(
                    tokens[index],
                    f"refers to `{name}`, which comes later or is itself",
                    f"put `{name}` first; Cookiecutter can't render it either",
                )
            if copier not in self.local:
                return copier, count
        elif name in SESSION:
            self._note(
                Kind.NEEDS_YOU,
                tokens[index],
                f"`cookiecutter.{name}` is {SESSION[str(name)]}; it is empty here",
                "take it out, or use what `_copier_conf` has",
            )
            return quoted(""), count
        elif name is not None and (count == 4 or rest[2:3] != ["("]):
            fix = "Cookiecutter fails on it too unless it is never reached; declare it or take it out"
            self._note(Kind.NEEDS_YOU, tokens[index], f"`cookiecutter.{name}` is no variable of the template", fix)
        elif name in {"update", "pop", "setdefault", "clear", "popitem"}:
            fix = "give the question the changed value as its default, or a variable of its own"
            self._note(
                Kind.NEEDS_YOU, tokens[index], f"`cookiecutter.{name}` changes answers while files are rendered", fix
            )
        return self._mapping(), 1

    def _mapping(self) -> str:
        """Return the mapping of all variables, or in a question the mapping of those before it."""
        if self.earlier is None:
            self.owner.uses_mapping = True
            return MAPPING
        inner = ", ".join(f"{quoted(name)}: {self.owner.names[name]}" for name in self.earlier)
        return f"{{{inner}}}"

    def _filter(self, tokens: list[Token], index: int) -> tuple[str, int] | None:
        token = tokens[index]
        called = index + 1 < len(tokens) and tokens[index + 1].text == "("
        count = _call_length(tokens, index + 1) + 1 if called else 1
        if token.text == "jsonify":
            return "to_nice_json", 1
        if token.text != "slugify":
            return None
        written = self.source[token.start : tokens[index + count - 1].end]
        try:
            chain = builtins.slugify(self.owner.syntax, written)
        except ValueError as fault:
            raise self._refused(
                token, str(fault), "write the slug with `lower`, `replace` and `regex_replace`"
            ) from fault
        note = "`slugify` leaves out letters beyond ASCII instead of spelling them, and does not read HTML entities"
        self._note(Kind.DIFFERENT, token, note)
        return chain, count

    def _now(self, tag: list[Token], inner: list[Token]) -> str:
        try:
            zone, format_, shift = builtins.now(self.source[inner[0].start : tag[-1].start])
        except ValueError as fault:
            raise self._refused(inner[0], str(fault), "write the date as a question, or with `strftime`") from fault
        if zone not in {"local", ""}:
            self._note(Kind.DIFFERENT, inner[0], f"the time is that of the machine, not of the time zone {zone}")
        filter_ = f"strftime(('%s' | strftime | int) + {shift})" if shift else "strftime"
        syntax = self.owner.syntax
        body = f"{syntax.closing}{syntax.literal(format_)}{syntax.opening}"
        return f"{tag[0].text} filter {filter_} {body} endfilter {tag[-1].text}"

    def _including(self, tag: list[Token], inner: list[Token]) -> str:
        """Rewrite a tag that names another file: it lies elsewhere in the Copier template."""
        named = inner[1] if len(inner) > 1 else None
        if named is None or named.kind != "string" or (len(inner) > 2 and inner[2].text in {"~", "+", "|"}):
            fix = "name the file itself; Copier looks for it from the template's root"
            raise self._refused(inner[0], f"`{inner[0].text}` computes which file it takes", fix)
        name = named.text[1:-1]
        place = self.owner.partials.get(name.removeprefix("./"))
        if place is None:
            raise self._refused(
                named, f"`{inner[0].text}` takes {name}, which is not there", "correct the name, or take it out"
            )
        rest = inner[2:]
        return self.source[tag[0].end : named.start] + quoted(place) + self._between(named.end, rest, tag[-1].start)

    def _note(self, kind: Kind, token: Token, message: str, fix: str | None = None) -> None:
        self.owner.report.add(kind, self.file, self.before + token.line, message, fix)

    def _refused(self, token: Token, message: str, fix: str) -> Refused:
        return Refused(self.before + token.line, message, fix)


def _tags(tokens: list[Token]) -> Iterator[list[Token]]:
    """Yield the tags and printed expressions, each from its opening to its closing token."""
    tag: list[Token] = []
    for token in tokens:
        if token.kind in {"variable_begin", "block_begin", "linestatement_begin"}:
            tag = [token]
        elif tag:
            tag.append(token)
            if token.kind in {"variable_end", "block_end", "linestatement_end"}:
                yield tag
                tag = []


def _call_length(tokens: list[Token], opening: int) -> int:
    """Return the number of tokens from an opening parenthesis to the one that closes it."""
    depth = 0
    for count, token in enumerate(tokens[opening:], 1):
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "operator" else 0
        if depth == 0:
            return count
    return len(tokens) - opening
