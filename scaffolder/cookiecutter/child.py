"""What renders a template in a process of its own: ``python -m scaffolder.cookiecutter.child``.

It takes one JSON request on standard input, with any number of jobs for one template, and answers on the file descriptor that
the request names: a JSON object a line, for each job in turn.
It limits itself before it reads anything of the template. Jinja runs in Jinja's sandbox unless the source is trusted;
Cookiecutter's own environment is not sandboxed, and a template could run any code through it.
"""

import contextlib
import json
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

FAILED = 3


def main() -> int:
    """Serve the request; the exit status is 0 when there is an answer to each job, whatever it says."""
    request = json.loads(sys.stdin.buffer.read())
    _limit(request["limits"])
    with os.fdopen(int(request["answer_to"]), "w", encoding="utf-8") as stream:
        for job in request["jobs"]:
            stream.write(json.dumps(_answer(request, job)) + "\n")
            stream.flush()
    return 0


def _answer(request: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    render = {"cookiecutter": _cookiecutter, "copier": _copier}[request["engine"]]
    try:
        return render(request, job["answers"], job["out"])
    except MemoryError:
        return {"error": "rendering took more memory than templates may take"}
    except RecursionError:
        return {"error": "the template nests too deep"}
    except Exception as fault:
        return {"error": _explained(fault)}


def _limit(limits: dict[str, int]) -> None:
    for kind, name in (
        (resource.RLIMIT_CPU, "seconds"),
        (resource.RLIMIT_AS, "memory_bytes"),
        (resource.RLIMIT_FSIZE, "file_bytes"),
    ):
        most = int(limits[name])
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _explained(fault: Exception) -> str:
    """Return a rendering's failure in one line, with the template's file and line where they are known."""
    inner: BaseException = getattr(fault, "error", None) or fault
    where = getattr(inner, "filename", None) or getattr(inner, "name", None)
    line = getattr(inner, "lineno", None)
    text = " ".join(str(getattr(inner, "message", None) or inner).split())[:400] or type(inner).__name__
    said = str(getattr(fault, "message", "") or "")
    text = f"{said}: {text}" if inner is not fault and said and said not in text else text
    return f"{where}:{line}: {text}" if where and line else text


def _cookiecutter(request: dict[str, Any], given: dict[str, Any], out: str) -> dict[str, Any]:
    """Render with Cookiecutter, with its defaults for what is not answered."""
    from cookiecutter.generate import generate_context, generate_files
    from cookiecutter.prompt import prompt_for_config

    folder, file = Path(request["folder"]), str(request["context_file"])
    trusted = bool(request["trusted"])
    if not trusted:
        _sandbox(lenient=file != "cookiecutter.json")
    context = generate_context(str(folder / file), extra_context=_as_texts(given, folder / file))
    context = {"cookiecutter": context.pop(Path(file).name.split(".")[0])}
    variables = context["cookiecutter"]
    context["_cookiecutter"] = {name: value for name, value in variables.items() if not name.startswith("_")}
    if not trusted:
        _refuse_extensions(variables)
    sys.path[:0] = [str(folder)] if trusted else []
    variables.update(prompt_for_config(context, no_input=True))
    variables["_template"] = request["source"]
    variables["_output_dir"] = str(Path(out).resolve())
    variables["_repo_dir"] = str(folder)
    variables["_checkout"] = request["checkout"]
    _refuse_ways_out(folder, context)
    made = generate_files(folder, context, output_dir=out, accept_hooks=trusted)
    answers = {name: value for name, value in variables.items() if not name.startswith("_")}
    return {"project": str(made), "answers": answers}


def _as_texts(given: dict[str, Any], file: Path) -> dict[str, Any]:
    """Return answers in a form that Cookiecutter takes for texts: it would render them as templates of their own."""
    from scaffolder.cookiecutter.syntax import Syntax

    variables = json.loads(file.read_text(encoding="utf-8"))
    syntax = Syntax.of(variables.get("_jinja2_env_vars", {}))
    return {
        name: syntax.literal(value) if isinstance(value, str) and isinstance(variables.get(name), str) else value
        for name, value in given.items()
    }


def _sandbox(*, lenient: bool) -> None:
    """Let Cookiecutter make sandboxed Jinja environments, in this process."""
    from cookiecutter import utils
    from cookiecutter.environment import ExtensionLoaderMixin
    from jinja2 import StrictUndefined, Undefined
    from jinja2.sandbox import SandboxedEnvironment

    class Sandboxed(ExtensionLoaderMixin, SandboxedEnvironment):  # type: ignore[misc]
        """What Cookiecutter's ``StrictEnvironment`` is, in the sandbox."""

        def __init__(self, **options: Any) -> None:
            super().__init__(undefined=Undefined if lenient else StrictUndefined, **options)

    for module in ("cookiecutter.utils", "cookiecutter.prompt", "cookiecutter.generate", "cookiecutter.hooks"):
        loaded = sys.modules.get(module)
        if loaded is not None and hasattr(loaded, "StrictEnvironment"):
            loaded.StrictEnvironment = Sandboxed  # type: ignore[attr-defined]
    utils.StrictEnvironment = Sandboxed


def _refuse_extensions(variables: dict[str, Any]) -> None:
    from scaffolder.cookiecutter.builtins import EXTENSIONS

    for name in variables.get("_extensions", []):
        if name not in EXTENSIONS:
            raise ValueError(f"the template wants the Jinja extension {name}; its source is not trusted to bring code")


def _refuse_ways_out(folder: Path, context: dict[str, Any]) -> None:
    """Render the names alone first: Cookiecutter would write wherever a name leads.

    A folder whose name renders to nothing turns the path of what is in it into an absolute one.
    """
    from cookiecutter.find import find_template
    from cookiecutter.utils import create_env_with_context

    environment = create_env_with_context(context)
    project = Path(find_template(folder, environment))
    top = environment.from_string(project.name).render(**context)
    if not top.strip() or _leads_out(top):
        raise ValueError(f"the project folder's name renders to {top[:80]!r}, which is no folder's name")
    for path in _paths(project, context):
        rendered = environment.from_string(path).render(**context)
        if _leads_out(rendered):
            raise ValueError(f"{path} renders to {rendered[:80]!r}, which leads out of the project")


def _paths(project: Path, context: dict[str, Any]) -> Iterator[str]:
    """Yield the paths that Cookiecutter renders; what is below a folder that is only copied keeps its names."""
    from cookiecutter.generate import is_copy_only_path

    for place, folders, names in os.walk(project):
        for name in (*folders, *names):
            yield str(Path(place, name).relative_to(project))
        within = Path(place).relative_to(project)
        folders[:] = [name for name in folders if not is_copy_only_path(str(within / name), context)]


def _leads_out(path: str) -> bool:
    return path.startswith("/") or "\0" in path or ".." in PurePosixPath(path).parts


def _copier(request: dict[str, Any], given: dict[str, Any], out: str) -> dict[str, Any]:
    """Render a Copier template of this machine without trusting it."""
    import copier

    worker = copier.run_copy(
        request["folder"],
        out,
        data=given,
        settings=copier.Settings(),
        defaults=True,
        quiet=True,
        unsafe=False,
    )
    answers = {str(name): value for name, value in worker.answers.combined.items() if not str(name).startswith("_")}
    plain = {name: value for name, value in answers.items() if not callable(value)}
    return {"project": out, "answers": plain}


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
