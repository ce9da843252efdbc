"""Copier's own worker, told what it would otherwise work out again for every file, and its faults as errors of ours."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaffolder.update.errors import AnswerInvalid, TemplateFault, UnsafeTemplate
from scaffolder.update.store import TemplateVersion

if TYPE_CHECKING:
    from copier._jinja_ext import SandboxedEnvironment
    from copier._main import Worker

_COPIER_VALIDATION = re.compile(r"^Validation error for question '[^']+': (?P<reason>.*)$", re.DOTALL)
_COPIER_CHOICE = re.compile(r"^Invalid choice for '[^']+': (?P<reason>.*)$", re.DOTALL)
_SENTENCE = 400


def remember_compiled(environment: "SandboxedEnvironment") -> "SandboxedEnvironment":
    """Let an environment compile each string once; file templates it keeps by itself.

    Copier's extension for ``yield`` forgets the last loop whenever something is compiled, so here it is told by hand.
    """
    from copier._jinja_ext import get_yield_context
    from jinja2 import Template as Compiled
    from jinja2.nodes import Output, TemplateData

    compiled: dict[str, Compiled] = {}
    constants: dict[str, str | None] = {}
    from_string, get_template = environment.from_string, environment.get_template

    def forget_loop() -> None:
        context = get_yield_context(environment)
        context.yield_name, context.yield_iterable = None, None

    def string(source: Any, *arguments: Any, **options: Any) -> Compiled:
        if arguments or options or not isinstance(source, str):
            return from_string(source, *arguments, **options)
        if source not in compiled:
            compiled[source] = from_string(source)
        forget_loop()
        return compiled[source]

    def file(*arguments: Any, **options: Any) -> Compiled:
        found = get_template(*arguments, **options)
        forget_loop()
        return found

    def constant(source: str) -> str | None:
        """Return what a string renders to whatever the answers are; None if that depends on them."""
        if source not in constants:
            body = environment.parse(source).body
            plain = all(
                isinstance(node, Output) and all(isinstance(part, TemplateData) for part in node.nodes) for node in body
            )
            constants[source] = string(source).render() if plain else None
        forget_loop()
        return constants[source]

    environment.constant = constant  # type: ignore[attr-defined]
    environment.from_string = string  # type: ignore[method-assign]
    environment.get_template = file  # type: ignore[method-assign]
    return environment


@cache
def worker_class() -> "type[Worker]":
    """Return the class; made when it is first needed, since importing Copier takes a second."""
    from copier._main import Worker
    from copier._types import LazyDict, Phase

    class CachingWorker(Worker):
        """Copier's worker, told what it would otherwise work out again for every file."""

        def _sync_git_index_executable_bit(self, dst_relpath: Path, src_mode: int) -> None:
            """Do nothing: what is rendered to is in no git repository."""

        def _ask(self) -> None:
            try:
                super()._ask()
            except MemoryError:
                raise
            except Exception as fault:
                raise Unanswered(self._asking(), fault) from fault

        def _asking(self) -> str:
            """Return the question that was being asked: the first that has neither an answer nor been left out."""
            settled = self.answers.user.keys() | self.answers.hidden
            return next((name for name in self.template.questions_data if name not in settled), "")

        def _external_data(self) -> Any:
            loaded = super()._external_data()
            needed: set[str] = self.__dict__.setdefault("needed", set())

            def load(name: str) -> Any:
                with Phase.use(Phase.UNDEFINED):
                    needed.add(self._render_string(self.template.external_data[name]))
                return loaded[name]

            return LazyDict({name: partial(load, name) for name in self.template.external_data})

        def _render_context(self) -> Any:
            context = super()._render_context()
            conf = context["_copier_conf"]
            for key in ("data", "dst_path"):
                conf._pending[key] = partial(self._look_around, conf._pending[key])
            return context

        def _look_around(self, value: Any) -> Any:
            """Note that the template sees how it is rendered, not only with which answers."""
            self.__dict__["looked_around"] = True
            return value()

        def _render_string(self, string: str, extra_context: dict[str, Any] | None = None) -> str:
            constant: str | None = self.jinja_env.constant(string)  # type: ignore[attr-defined]
            if constant is not None:
                return constant
            return super()._render_string(string, extra_context)

        @property
        def answers_relpath(self) -> Path:
            if Phase.current() is not Phase.RENDER:  # answers may still change
                return super().answers_relpath
            if "answers_relpath_known" not in self.__dict__:
                self.__dict__["answers_relpath_known"] = super().answers_relpath
            known: Path = self.__dict__["answers_relpath_known"]
            return known

        def _answers_to_remember(self) -> Mapping[str, Any]:
            if Phase.current() is not Phase.RENDER:
                return super()._answers_to_remember()
            if "remembered_known" not in self.__dict__:
                self.__dict__["remembered_known"] = super()._answers_to_remember()
            return dict(self.__dict__["remembered_known"])

    return CachingWorker


class Unanswered(Exception):
    """A question could not be answered; carries which."""

    def __init__(self, question: str, fault: Exception) -> None:
        super().__init__(question)
        self.question = question
        self.fault = fault


@contextmanager
def faults(version: TemplateVersion) -> Iterator[None]:
    """Turn whatever a template can do wrong into an error that names the version, and the question where it is one."""
    try:
        yield
    except (AnswerInvalid, TemplateFault, UnsafeTemplate, MemoryError):
        raise
    except Unanswered as fault:
        raise _as_error(version, fault) from fault.fault
    except Exception as fault:
        said = str(fault).strip() or type(fault).__name__
        raise TemplateFault(
            f"the template can't be rendered at {version.ref}: {said[:_SENTENCE]}",
            fix="tell the template's owners; nothing of the repository was changed",
        ) from fault


def _as_error(version: TemplateVersion, fault: Unanswered) -> AnswerInvalid | TemplateFault:
    from copier.errors import InteractiveSessionError, UserMessageError

    said = str(fault.fault).strip()
    for pattern in (_COPIER_VALIDATION, _COPIER_CHOICE):
        if match := pattern.match(said):
            said = match["reason"]
    if isinstance(fault.fault, InteractiveSessionError) or not fault.question:
        return TemplateFault(f"the template's questions can't be answered at {version.ref}: {said[:_SENTENCE]}")
    if isinstance(fault.fault, UserMessageError):
        return TemplateFault(
            f"the template's question {fault.question} can't be asked at {version.ref}: {said[:_SENTENCE]}"
        )
    if said.endswith("is required"):
        said = f"{version.ref} asks it, and it has neither an answer nor a default"
    said = said or f"that is not an answer of the right type for {version.ref}"
    return AnswerInvalid(f"{fault.question}: {said[:_SENTENCE]}", question=fault.question)
