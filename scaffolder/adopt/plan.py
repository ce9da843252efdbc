"""Decide for each file of the golden path what becomes of it in a repository that has files of its own."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import PurePosixPath

from mlplatform.generate.render import OPENAPI, possible_paths
from scaffolder.adopt.answers import Answers
from scaffolder.adopt.derived import derived_files, ready_spec
from scaffolder.adopt.entry import Entry
from scaffolder.adopt.errors import AdoptionRefused
from scaffolder.adopt.merge import texts
from scaffolder.adopt.merge.additions import with_additions
from scaffolder.adopt.merge.catalog import adapted_catalog, adapted_page, adapted_pipeline, as_child_pipeline
from scaffolder.adopt.merge.dependencies import Project, declare
from scaffolder.adopt.model_yaml import write_model_yaml
from scaffolder.adopt.report import Action, Decision
from scaffolder.adopt.repository import Repository
from scaffolder.adopt.survey.facts import Survey
from scaffolder.names import ANSWERS_FILE

_OWNERS = ("CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
_SAMPLE = ("src/*", "tests/*", "params.toml", "docs/quickstart.md")
_GITLAB, _GITLAB_BESIDE = ".gitlab-ci.yml", ".gitlab/ci/platform.yml"
_PLATFORMS = re.compile(r"platform\.mk$|vendor/")
"""What nothing works without, and what has to be as the platform brings it."""
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
"""In the order in which make looks for them."""
Content = tuple[bytes, bool]


@dataclass
class Plan:
    """Files of the commit (content, and whether it may be executed), and what was decided about every file."""

    files: dict[str, Content] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)

    def text(self, path: str) -> str | None:
        """Return a file of the commit as text."""
        return self.files[path][0].decode() if path in self.files else None


class Planner:
    """Goes through the rendered golden path, file by file."""

    def __init__(
        self,
        repository: Repository,
        survey: Survey,
        answers: Answers,
        rendered: dict[str, Content],
        entry: Entry | None,
    ) -> None:
        self.repository = repository
        self.survey = survey
        self.answers = answers
        self.rendered = rendered
        self.entry = entry
        self.plan = Plan()
        # Without regard to case: a checkout on some machines can't hold two names that differ in nothing else.
        self._taken = {path.lower() for path in repository.entries}
        self._folders = {str(parent).lower() for path in repository.entries for parent in PurePosixPath(path).parents}
        self._derived_paths = possible_paths()
        self._theirs = [path for path in self._derived_paths if self._has(path)]

    def make(self) -> Plan:
        """Return the plan; ``model.yaml`` comes first, since other files follow from it.

        Raises:
            AdoptionRefused: the toolkit has no place, or the project file can't be read.
        """
        if in_the_way := next(
            (path for path in ("platform.mk", *sorted(self.rendered)) if _PLATFORMS.match(path) and self._has(path)),
            None,
        ):
            raise AdoptionRefused(
                f"something of the repository is in the way of {in_the_way}, which is the platform's",
                fix="give it another name, commit that, and run it again",
            )
        self._model_yaml()
        self._entry()
        self._project()
        rules: list[tuple[tuple[str, ...], Callable[[str, Content], None]]] = [
            (("model.yaml", "pyproject.toml", "uv.lock", *self._derived_paths), lambda _path, _content: None),
            ((ANSWERS_FILE, "vendor/*"), self._add),
            (_SAMPLE, self._sample),
            ((".gitignore",), self._ignore),
            (("Makefile",), self._makefile),
            (_OWNERS, self._codeowners),
            (("Dockerfile", ".dockerignore"), self._image),
            (("mkdocs.yml",), self._mkdocs),
            (("docs/model-card.md",), self._model_card),
            (("catalog-info.yaml",), self._catalog),
            ((".github/workflows/*", _GITLAB, "argo/*"), self._pipeline),
            (("README.md", "docs/index.md", "docs/ci.md", "docs/runbook.md"), self._page),
            ((".pre-commit-config.yaml", ".devcontainer/*"), self._habits),
            (("*",), self._add),
        ]
        for path, content in sorted(self.rendered.items()):
            for patterns, rule in rules:
                if any(fnmatch(path, pattern) for pattern in patterns):
                    rule(path, content)
                    break
        self._derived()
        return self.plan

    def decide(self, action: Action, path: str, why: str) -> None:
        """Note a decision."""
        self.plan.decisions.append(Decision(action, path, why))

    def _has(self, path: str) -> bool:
        """Say whether the repository has something there, or something else in the way of it."""
        wanted = PurePosixPath(path.lower())
        return (
            str(wanted) in self._taken
            or str(wanted) in self._folders
            or any(str(parent) in self._taken for parent in wanted.parents)
        )

    def _put(self, path: str, text: str | bytes, why: str, *, executable: bool = False) -> None:
        self.plan.files[path] = (text if isinstance(text, bytes) else text.encode(), executable)
        self.decide(Action.ADDED, path, why)

    def _put_or_merge(self, path: str, text: str, why: str) -> bool:
        """Put a file, or what it has more than the one that is there; say whether that could be done."""
        before = self.repository.read(path)
        if before is None:
            self._put(path, text, why)
            return True
        merged = with_additions(before, text)
        if merged is None:
            self.decide(Action.LEFT, path, "nothing could be added to it without changing something")
            return False
        self.plan.files[path] = (merged, self.repository.entries[path].mode == "100755")
        self.decide(Action.MERGED, path, why)
        return True

    def _add(self, path: str, content: Content) -> None:
        if self._has(path):
            self.decide(Action.LEFT, path, "yours is kept; `copier update` shows what the template would have")
            return
        why = {ANSWERS_FILE: "the answers, and the template's version, for `copier update`"}.get(
            path, "of the template"
        )
        self._put(
            path, content[0], "the platform's toolkit" if path.startswith("vendor/") else why, executable=content[1]
        )

    def _model_yaml(self) -> None:
        text = write_model_yaml(self.survey, self.answers, self.entry)
        self._put("model.yaml", text, "says what the platform has to know, as far as it was found out")

    def _entry(self) -> None:
        if self.entry is not None:
            calls = "your functions" if self.entry.training else "your data loader"
            self._put(
                self.entry.path, self.entry.text, f"calls {calls} for the platform; look it over, nothing was run"
            )

    def _project(self) -> None:
        wheel = next((path for path in self.rendered if path.startswith("vendor/") and path.endswith(".whl")), "")
        project: Project = declare(
            self.repository,
            self.survey,
            self.answers.name,
            PurePosixPath(wheel).name,
            str(self.answers.template["description"]),
            self._theirs,
        )
        if project.text is not None and self._put_or_merge("pyproject.toml", project.text, project.why):
            return
        if project.text is None:
            self.decide(Action.LEFT, "pyproject.toml", project.why)
        self.decide(Action.NEEDS_YOU, "uv.lock", project.fix or "declare the platform's packages, and run `uv lock`")
        if self._theirs:
            why = f"add {', '.join(self._theirs)} to [tool.mlplatform.generate] exclude, since you have files of your own there"
            self.decide(Action.NEEDS_YOU, "pyproject.toml", why)

    def _sample(self, path: str, _content: Content) -> None:
        self.decide(Action.NOT_TAKEN, path, "belongs to the template's sample model; you have your own")

    def _derived(self) -> None:
        """Write what follows from ``model.yaml``, all of it or nothing: `platform check` asks for the rest of it otherwise."""
        for path in self._theirs:
            self.decide(Action.LEFT, path, "yours is kept, and excluded from what `platform generate` writes")
        made = derived_files(self.plan.text("model.yaml") or "")
        if made is None:
            why = "follow from model.yaml: fill that in, run `make -f platform.mk platform-generate`, and commit the result"
            api = [path for path in self.rendered if path in {OPENAPI, "asyncapi.json"}]
            named = f"; then add the API ({', '.join(api)}) to catalog-info.yaml" if api else ""
            self.decide(Action.NEEDS_YOU, "deploy/, observability/", f"{why}{named}")
            return
        for path, text in made.items():
            if path not in self._theirs:
                self._put(path, text, "follows from model.yaml; `platform generate` writes it again")

    def _ignore(self, path: str, content: Content) -> None:
        before = self.repository.text(path)
        if self._has(path) and before is None:
            self.decide(Action.LEFT, path, "is no text file")
            return
        merged, hides = texts.merged_ignore(before, content[0].decode(), self.repository.entries)
        if merged is not None:
            self._put_or_merge(path, merged, "lines for what the platform's tools write")
        if hides:
            self.decide(
                Action.LEFT, path, f"without {', '.join(hides)}, which would hide files that you have committed"
            )

    def _makefile(self, path: str, content: Content) -> None:
        made = texts.platform_mk(texts.uv_version(content[0].decode()))
        path = next((name for name in _MAKEFILES if name in self.repository.entries), path)
        before = self.repository.text(path)
        self._put("platform.mk", made, "the platform's targets: make platform-check, platform-gates, platform-ship")
        beside = "the platform's targets are there with make -f platform.mk"
        if self._has(path) and before is None:
            self.decide(Action.LEFT, path, f"is no text file; {beside}")
        elif b"\r\n" in (self.repository.read(path) or b""):
            self.decide(Action.LEFT, path, f"has the line ends of Windows, with which make reads no include; {beside}")
        elif texts.targets(before or "") & texts.targets(made):
            self.decide(Action.LEFT, path, f"it has targets named like the platform's; {beside}")
        elif (merged := texts.merged_makefile(before)) is not None:
            why = "includes platform.mk, after everything of yours" if before else "includes platform.mk"
            self._put_or_merge(path, merged, why)

    def _codeowners(self, path: str, content: Content) -> None:
        there = next((place for place in _OWNERS if self._has(place)), None)
        if there is not None:
            self.decide(Action.LEFT, there, "yours is kept")
        elif self.survey.org is None and "org" not in self.answers.template:
            self.decide(Action.NOT_TAKEN, path, "nothing says which organisation the team is of")
        else:
            self._put(path, content[0], f"reviews go to {self.answers.template['owner']}")

    def _image(self, path: str, content: Content) -> None:
        if self._has("Dockerfile"):
            why = "your image is built as before; the platform serves the model by itself"
            self.decide(Action.LEFT if self._has(path) else Action.NOT_TAKEN, path, why)
        elif "pyproject.toml" not in self.plan.files and not self._has("uv.lock"):
            self.decide(Action.NOT_TAKEN, path, "the image is made from uv.lock, which there is none of")
        else:
            self._add(path, content)

    def _mkdocs(self, path: str, content: Content) -> None:
        pages = {"Model card": "model-card.md", "Runbook": "runbook.md", "CI": "ci.md"}
        before = self.repository.text(path)
        if before is None and not self._has(path):
            text = "\n".join(line for line in content[0].decode().split("\n") if "quickstart.md" not in line)
            self._put(path, text, "documentation in the catalog")
            return
        docs = re.search(r"(?m)^docs_dir:\s*[\"']?([\w./-]+)", before or "")
        if docs is not None and docs[1].strip("/") != "docs":
            self.decide(
                Action.LEFT, path, f"your pages lie in {docs[1]}; link the runbook and model card in docs/ if you like"
            )
            return
        merged = texts.merged_nav(before or "", pages)
        if merged is not None:
            self._put_or_merge(path, merged, "the platform's pages at the end of the navigation")
        else:
            self.decide(Action.LEFT, path, "yours is kept; pages without a navigation show by themselves")

    def _model_card(self, path: str, _content: Content) -> None:
        if self._has(path):
            self.decide(Action.LEFT, path, "yours is kept")
            return
        self._put(path, _model_card(self.answers), "a start; write what is asked for in it")

    def _catalog(self, path: str, content: Content) -> None:
        if self._has(path):
            why = "yours is kept; Component, Resource and API of the model are for you to add if they are not in it"
            self.decide(Action.LEFT, path, why)
            return
        text = adapted_catalog(
            content[0].decode(), self.answers, with_api=ready_spec(self.plan.text("model.yaml") or "") is not None
        )
        self._put(path, text, "the model, its data sets and its owner in the catalog")

    def _pipeline(self, path: str, content: Content) -> None:
        text, place = adapted_pipeline(content[0].decode()), self._pipeline_place(path)
        if place == _GITLAB_BESIDE:
            text = as_child_pipeline(text)
            if not self._has(place):
                why = f"add a job to it: platform: {{trigger: {{include: {place}, strategy: depend}}}}"
                self.decide(Action.NEEDS_YOU, path, why)
        others = ", ".join(guess.value for guess in self.survey.ci)
        if self._has(place):
            self.decide(Action.LEFT, place, "yours is kept")
            return
        beside = f"beside {others}, which goes on as it is" if others else "the repository had none"
        self._put(place, text, f"a pipeline for the platform's stages, {beside}")

    def _pipeline_place(self, path: str) -> str:
        if path.startswith(".github/workflows/"):
            return str(PurePosixPath(path).with_name("platform.yml"))
        return _GITLAB_BESIDE if path == _GITLAB and self._has(path) else path

    def _page(self, path: str, content: Content) -> None:
        if path == "README.md" or self._has(path):
            action = Action.LEFT if self._has(path) else Action.NOT_TAKEN
            self.decide(
                action, path, "yours is kept" if self._has(path) else "it speaks of the template's sample model"
            )
            return
        pipeline = next((name for name in self.rendered if name.startswith(".github/workflows/")), _GITLAB)
        sample = self.rendered["model.yaml"][0].decode()
        self._put(
            path,
            adapted_page(content[0].decode(), sample, self._pipeline_place(pipeline)),
            "a page of the documentation",
        )

    def _habits(self, path: str, _content: Content) -> None:
        if self._has(path):
            self.decide(Action.LEFT, path, "yours is kept")
        else:
            why = "it asks for the template's own lint, types and make targets, which your code was not written to"
            self.decide(Action.NOT_TAKEN, path, why)


def _model_card(answers: Answers) -> str:
    owner, description = answers.template["owner"], answers.template["description"]
    return f"""# Model card

{description}

| | |
|---|---|
| Owner | `{owner}` |
| Inputs and outputs | `schema` in `model.yaml` |
| Data | `data` in `model.yaml` |
| What a version has to reach | `validation` in `model.yaml` |

## What it is for

Who asks it what, and what happens with the answer. What it must not be used for.

## On what it was trained

Where the rows come from, of which time, and who is in them. What was left out, and why.

## Where it fails

Groups of cases that it is worse at than on the whole, by how much, and what is done about it.
"""
