"""Turn what hooks do into what Copier has: exclusions, names that depend on answers, validators and a message."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from scaffolder.cookiecutter.context import Asked, Context
from scaffolder.cookiecutter.files import Source
from scaffolder.cookiecutter.hooks.actions import Action, Delete, Left, Move, Refuse, Say, Skip
from scaffolder.cookiecutter.hooks.values import Fragment, Part, Place, Text, compact, conjunction
from scaffolder.cookiecutter.names import unused
from scaffolder.cookiecutter.report import Kind
from scaffolder.cookiecutter.rewrite import Refused, Rewriter

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_REFERENCE = re.compile(r"\bcookiecutter(?:\.|\[['\"])([A-Za-z_]\w*)")


@dataclass
class HookPlan:
    """What takes the place of a template's hooks."""

    excluded: list[str] = field(default_factory=list)
    """Templates of patterns for ``_exclude``."""
    renamed: dict[PurePosixPath, str] = field(default_factory=dict)
    """Names of files and folders that depend on answers, by their path in the template."""
    computed: dict[str, str] = field(default_factory=dict)
    """Templates of the values that such names print."""
    validators: dict[str, str] = field(default_factory=dict)
    """Templates of validators, by question."""
    messages: list[str] = field(default_factory=list)
    """Templates of what is shown after copying."""


@dataclass
class Planner:
    """Makes the plan for one template."""

    rewriter: Rewriter
    context: Context
    sources: Sequence[Source]
    plan: HookPlan = field(default_factory=HookPlan)
    _checks: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    _moved_to: list[str] = field(default_factory=list)
    _told: set[tuple[str, int, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.entries: dict[str, PurePosixPath] = {}
        for source in self.sources:
            for path in (source.path, *source.path.parents):
                if path.parts:
                    self.entries[compact(str(path))] = path
        asked_first = [variable for variable in self.context.variables if variable.asked is not Asked.MAPPING]
        asked_last = [variable for variable in self.context.variables if variable.asked is Asked.MAPPING]
        self.order = [*asked_first, *asked_last]

    def is_there(self, place: Place) -> bool:
        """Say whether the project may have something at a place; a name with Jinja in it might be any."""
        path = place.normal(self.rewriter.syntax)
        return path is None or path in self.entries or self.rewriter.syntax.has_jinja(path)

    def take(self, actions: Sequence[Action], *, shown: bool) -> None:
        """Convert what one hook does, in its order; with ``shown`` what it prints becomes a message."""
        ran: Left | None = None
        for index, action in enumerate(actions):
            try:
                match action:
                    case Delete() if ran is not None:
                        path = action.place.normal(self.rewriter.syntax)
                        why = f"removes `{path}` once line {ran.line} has run"
                        self._left(action, why, "remove it by hand after that")
                    case Delete():
                        self._delete(action, actions[index + 1 :])
                    case Move():
                        self._move(action)
                    case Refuse():
                        self._refuse(action)
                    case Say() if shown:
                        self._say(action)
                    case Skip():
                        self._note(action, Kind.DROPPED, f"`{action.what}`: {action.why}")
                    case Left():
                        self._left(action, action.what, action.fix)
                        ran = action if action.what.startswith("runs ") else ran
            except Refused as refused:
                self._left(action, refused.message, refused.fix)

    def finish(self) -> HookPlan:
        """Return the plan, with the checks of each question in one validator."""
        tag = self.rewriter.syntax.tag
        for question, checks in self._checks.items():
            parts = [
                f"{tag(('if ' if index == 0 else 'elif ') + condition)}{message}"
                for index, (condition, message) in enumerate(checks)
            ]
            self.plan.validators[question] = "".join([*parts, tag("endif")])
        return self.plan

    def _delete(self, action: Delete, later: Sequence[Action]) -> None:
        path = action.place.normal(self.rewriter.syntax)
        if path is None or not path:
            self._left(action, "removes something outside of the project, or all of it", "leave it out")
            return
        known = self.is_there(action.place) or any(path == to or path.startswith(f"{to}/") for to in self._moved_to)
        if not known and not any(isinstance(part, Fragment) for part in action.place.text.parts):
            self._note(action, Kind.DROPPED, f"`{path}` is removed, but the template has nothing of that name")
            return
        into = [move for move in later if isinstance(move, Move) and self._is_in(move.to, path)]
        if into:
            self._left(
                action, f"removes `{path}` and then puts something there", "give the file its name in the template"
            )
            return
        pattern = self._pattern(action.place.text)
        self.plan.excluded.append(self._conditional(action, pattern))
        self._follow(action, path, later)
        self._note(action, Kind.CONVERTED, f"`{path}` is left out{self._when(action)}")

    def _follow(self, action: Delete, path: str, later: Sequence[Action]) -> None:
        """Leave it out at the place, too, where a later move would have taken what is around it."""
        for move in later:
            if not isinstance(move, Move):
                continue
            moved, to = (place.normal(self.rewriter.syntax) for place in (move.place, move.to))
            if moved and to and path.startswith(f"{moved}/"):
                conditions = [condition for condition in (action.condition, move.condition) if condition is not None]
                both = replace(action, condition=conjunction(conditions) if conditions else None)
                self.plan.excluded.append(self._conditional(both, f"/{to}{path[len(moved) :]}"))

    def _is_in(self, place: Place, folder: str) -> bool:
        path = place.normal(self.rewriter.syntax) or ""
        return path == folder or path.startswith(f"{folder}/")

    def _pattern(self, text: Text) -> str:
        """Return the template of a pattern as ``.gitignore`` has them, anchored at the project."""
        syntax = self.rewriter.syntax
        if any(isinstance(part, Fragment) for part in text.parts):
            name = "path"
            whole = f"{syntax.tag(f'set {name}')}{text.template(syntax)}{syntax.tag('endset')}"
            shown = syntax.variable(f"'/' ~ ({name} | trim)")
            return f"{whole}{syntax.tag(f'if {name} | trim')}{shown}{syntax.tag('endif')}"
        literal = [re.sub(r"([*?\[\]!#\\ ])", r"\\\1", part) if isinstance(part, str) else part for part in text.parts]
        pattern = Text.of(*literal).template(syntax).removeprefix("./").rstrip("/")
        return f"/{pattern}"

    def _move(self, action: Move) -> None:
        syntax = self.rewriter.syntax
        here, there = action.place.normal(syntax), action.to.normal(syntax)
        entry = self.entries.get(here or "")
        if entry is None or not there:
            self._left(
                action, f"renames `{here or '?'}`, which the template has not under this name", "rename it there"
            )
            return
        if (existing := self.entries.get(there)) is not None and any(
            source.path.parts[: len(existing.parts)] == existing.parts and source.path != existing
            for source in self.sources
        ):
            there = f"{there}/{entry.name}"
        above = compact(str(entry.parent)) if entry.parent.parts else ""
        if above and not there.startswith(f"{above}/"):
            self._left(action, f"moves `{here}` to another folder, `{there}`", "put it there in the template")
            return
        target = there[len(above) + 1 :] if above else there
        self._rename(action, entry, target)
        if existing is not None and there == compact(str(existing)):
            self._rename(action, existing, "")
        self._moved_to.append(there)
        self._note(action, Kind.CONVERTED, f"`{here}` is called `{there}`{self._when(action)}")

    def _rename(self, action: Move, entry: PurePosixPath, target: str) -> None:
        """Let the entry's name be the target where the condition holds, and what it was before elsewhere."""
        syntax = self.rewriter.syntax
        new = self._rewritten(action, target)
        stem = re.sub(r"\W+", "_", re.sub(r"cookiecutter\.", "", str(entry.name))).strip("_").lower() or "file"
        if entry in self.plan.renamed:
            name = next(name for name in self.plan.computed if self.plan.renamed[entry] == syntax.variable(name))
            former = self.plan.computed[name]
        else:
            taken = {*self.rewriter.names.values(), *self.rewriter.stored, *self.plan.computed}
            name, former = unused(f"{stem}_name", taken), self._rewritten(action, entry.name)
            self.plan.renamed[entry] = syntax.variable(name)
        if action.condition is None:
            self.plan.computed[name] = new
            return
        condition = self._rewritten(action, syntax.tag(f"if {action.condition}") + syntax.tag("endif"))
        opening = condition.removesuffix(syntax.tag("endif"))
        self.plan.computed[name] = f"{opening}{new}{syntax.tag('else')}{former}{syntax.tag('endif')}"

    def _refuse(self, action: Refuse) -> None:
        syntax = self.rewriter.syntax
        if action.condition is None:
            self._left(action, "refuses all answers", "take it out")
            return
        message = Text.of(*(_uncoloured(part) for part in action.message.parts))
        used = set(_REFERENCE.findall(f"{action.condition} {message.template(syntax)}"))
        known = [index for index, variable in enumerate(self.order) if variable.name in used]
        after = max(known, default=-1)
        target = next((item for item in self.order[after:] if not item.name.startswith("_")), None) if known else None
        if target is None:
            self._left(
                action, "checks something that no question comes after", "validate the question that it comes from"
            )
            return
        earlier = [variable.name for variable in self.order[: self.order.index(target) + 1]]
        whole = f"{syntax.tag(f'if {action.condition}')}{message.template(syntax)}{syntax.tag('endif')}"
        written = self.rewriter.rewrite(whole, action.file, line=action.line, earlier=earlier)
        body = written.removesuffix(syntax.tag("endif"))
        start = syntax.tag("if X").partition("X")
        condition, _, text = body.removeprefix(start[0]).partition(start[2])
        self._checks.setdefault(self.rewriter.names[target.name], []).append((condition, text))
        shown = message.template(syntax).strip().splitlines()[0][:80]
        self._note(
            action, Kind.CONVERTED, f"refuses with the same message, as the validator of `{target.name}`: {shown}"
        )

    def _say(self, action: Say) -> None:
        text = Text.of(*(_uncoloured(part) for part in action.message.parts), "\n")
        if not "".join(part for part in text.parts if isinstance(part, str)).strip() and len(text.parts) == 1:
            return
        self.plan.messages.append(self._conditional(action, text.template(self.rewriter.syntax)))
        self._note(action, Kind.CONVERTED, "what is printed is shown after copying (`_message_after_copy`)")

    def _conditional(self, action: Action, template: str) -> str:
        tag = self.rewriter.syntax.tag
        whole = f"{tag(f'if {action.condition}')}{template}{tag('endif')}" if action.condition else template
        return self._rewritten(action, whole)

    def _rewritten(self, action: Action, template: str) -> str:
        return self.rewriter.rewrite(template, action.file, line=action.line)

    def _left(self, action: Action, message: str, fix: str) -> None:
        if (action.file, action.line, message) in self._told:
            return  # under another condition: a helper that is called in several places
        self._told.add((action.file, action.line, message))
        self._note(action, Kind.NEEDS_YOU, f"{message}{self._when(action)}", fix)

    def _when(self, action: Action) -> str:
        """Return the condition as a reader would say it, or that there is one where it is long."""
        if action.condition is None:
            return ""
        plain = action.condition.replace("cookiecutter.", "")
        return f" where {plain}" if len(plain) < 100 else " under the same condition"

    def _note(self, action: Action, kind: Kind, message: str, fix: str | None = None) -> None:
        self.rewriter.report.add(kind, action.file, action.line, message, fix)


def _uncoloured(part: Part) -> Part:
    return _COLOUR.sub("", part) if isinstance(part, str) else part
