"""A fleet on the embedded host: repositories of a small template, changed by hand, and people who look after them."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from backend.audit.models import AuditRow
from backend.core.config import Settings
from backend.core.container import Services
from scaffolder.fleet.proposing import branch_of
from scaffolder.git import Author, first_commit, push
from scaffolder.hosts.base import BranchProtection, NewRepository
from scaffolder.hosts.embedded import EmbeddedHost
from tests.backend.conftest import Backend, Someone, empty_mlflow, make_settings
from tests.scaffolder.template_repositories import git, make_template
from tests.waiting import wait_until

__all__ = ["empty_mlflow"]

TEMPLATE = "house"
FIRST = {
    "copier.yml": "owner: {type: str, default: group:default/risk}\nretries: {type: int, default: 1}\n",
    "README.md.jinja": "# A house\n\nMade for {{ owner }}.\n",
    "settings.ini.jinja": "[service]\nretries = {{ retries }}\ntimeout = 10\n\n[logging]\nlevel = info\n",
    "run.sh": "#!/bin/sh\nexec true\n",
}
SECOND = {
    "copier.yml": FIRST["copier.yml"] + "region: {type: str, default: eu}\n",
    "settings.ini.jinja": FIRST["settings.ini.jinja"].replace("timeout = 10", "timeout = 30")
    + "region = {{ region }}\n",
    "CHANGELOG.md": "# Changelog\n\n## [2.0.0] - 2026-01-02\n\n### Changed\n\n- Requests may take 30 s, thanks to @nobody.\n",
}
THIRD = {
    "run.sh": "#!/bin/sh\nset -e\nexec true\n",
    "CHANGELOG.md": SECOND["CHANGELOG.md"].replace(
        "# Changelog\n",
        "# Changelog\n\n## [3.0.0] - 2026-02-02\n\n### Fixed\n\n- The script ends at its first error.\n",
    ),
}
LONGEST = 120.0


@dataclass
class Fleet:
    """A running platform, its repositories, and what tests ask of it."""

    http: TestClient
    services: Services
    operator: Someone
    ada: Someone
    template: Path
    work: Path

    @property
    def host(self) -> EmbeddedHost:
        host = self.services.hosts.host("local")
        assert isinstance(host, EmbeddedHost)
        return host

    def add(self, name: str, changes: dict[str, str] | None = None, version: str = "v1.0.0", **answers: Any) -> Path:
        """Put a repository on the host that was made from the template and then changed by hand."""
        release = self.services.templates.release(TEMPLATE, version)
        folder = self.work / f"first-{name}" / name
        folder.parent.mkdir()
        self.services.rendering.render(release, answers, folder)
        commit = first_commit(folder, "Start")
        new = NewRepository("models", name, "", f"claim-{name}")
        hosted = self.host.create(new)
        push(folder, self.host.access(hosted))
        self.host.settle(hosted, new)
        if changes:
            for path, text in changes.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text)
            git(folder, "add", "--all")
            git(folder, "commit", "--quiet", "-m", "Change by hand")
            push(folder, self.host.access(hosted))
            commit = git(folder, "rev-parse", "HEAD")
        assert self.host.head(hosted) == commit
        self.host.protect(hosted, BranchProtection(0))
        return self.host.path("models", name)

    def release(self, files: dict[str, str], tag: str) -> None:
        make_template(self.template, files, tag=tag)

    def start(self, version: str, **more: Any) -> dict[str, Any]:
        answer = self.operator.post("/fleet/campaigns", {"template": TEMPLATE, "version": version, **more})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def campaign(self, id: str) -> dict[str, Any]:
        return dict(self.ada.get(f"/fleet/campaigns/{id}").json())

    def members(self, id: str) -> dict[str, dict[str, Any]]:
        return {
            one["name"]: one for one in self.ada.get(f"/fleet/campaigns/{id}/repositories", limit=200).json()["items"]
        }

    def decide(self, id: str, decision: str, **more: Any) -> Any:
        return self.operator.post(f"/fleet/campaigns/{id}/decision", {"decision": decision, **more})

    def until(
        self, id: str, reached: Callable[[dict[str, Any], dict[str, dict[str, Any]]], bool]
    ) -> dict[str, dict[str, Any]]:
        """Wait until a campaign and its repositories are as wanted; return the repositories."""
        last: dict[str, Any] = {}

        def look() -> bool:
            last["campaign"], last["members"] = self.campaign(id), self.members(id)
            return reached(last["campaign"], last["members"])

        wait_until(look, LONGEST, lambda: json.dumps(last, indent=1))
        found: dict[str, dict[str, Any]] = last["members"]
        return found

    def proposed(self, id: str) -> dict[str, dict[str, Any]]:
        """Wait until nothing is pending in the waves that are open; return the repositories."""
        return self.until(
            id,
            lambda campaign, members: (
                bool(members or campaign["finishedAt"])
                and not any(one["state"] == "pending" and one["wave"] <= campaign["wave"] for one in members.values())
            ),
        )

    def over(self, id: str) -> dict[str, Any]:
        self.until(id, lambda campaign, _members: campaign["finishedAt"] is not None)
        return self.campaign(id)

    def merge(self, name: str) -> None:
        hosted = self.host.find("models", name)
        assert hosted is not None
        pull = self.host.find_pull(hosted, branch_of(TEMPLATE))
        assert pull is not None
        self.host.merge_pull(hosted, pull.number, Author("ada", "ada@example.org"))

    def pulls(self, name: str) -> list[Any]:
        hosted = self.host.find("models", name)
        assert hosted is not None
        return self.host.pulls(hosted)

    def clone(self, name: str, branch: str) -> Path:
        """Check a branch out, as an engineer does."""
        # Of the repository's own name, which templates may use.
        folder = self.work / f"clone-{time.monotonic_ns()}" / name
        folder.parent.mkdir()
        git(self.work, "clone", "--quiet", "--branch", branch, str(self.host.path("models", name)), str(folder))
        return folder

    def show(self, name: str, path: str, ref: str = branch_of(TEMPLATE)) -> str:
        return git(self.host.path("models", name), "show", f"{ref}:{path}")

    def by_copier(self, name: str, version: str) -> Path:
        """Update a clone of the default branch as Copier itself does it."""
        import copier

        folder = self.clone(name, "main")
        git(folder, "config", "user.name", "a")
        git(folder, "config", "user.email", "a@example.org")
        copier.run_update(str(folder), vcs_ref=version, defaults=True, overwrite=True, conflict="inline", quiet=True)
        return folder

    def events(self, type: str) -> list[dict[str, Any]]:
        with self.services.database.read() as session:
            rows = session.query(AuditRow).order_by(AuditRow.seq).all()
        events = [json.loads(row.event) for row in rows]
        return [one for one in events if one["type"].startswith(f"ml-platform.fleet.{type}")]


def fleet_settings(folder: Path, database_url: str, empty_mlflow: Path, template: Path) -> Settings:
    (folder / "mlflow").mkdir(parents=True)
    shutil.copyfile(empty_mlflow, folder / "mlflow" / "mlflow.db")
    return make_settings(
        folder,
        database_url,
        templates=[{"name": TEMPLATE, "url": str(template)}],
        templateSources={"roots": [str(template.parent)]},
        fleet={"pollInterval": "0.2s"},
    )


@contextmanager
def running(settings: Settings, template: Path, work: Path) -> Iterator[Fleet]:
    with TestClient(create_app(settings), raise_server_exceptions=False) as http:
        services: Services = http.app.state.services  # type: ignore[attr-defined]
        backend = Backend(http, services)
        yield Fleet(http, services, backend.someone("operator"), backend.someone("ada"), template, work)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    folder = tmp_path / "templates" / TEMPLATE
    make_template(folder, FIRST, tag="v1.0.0")
    return folder


@pytest.fixture
def settings(tmp_path: Path, database_url: str, empty_mlflow: Path, template: Path) -> Settings:
    return fleet_settings(tmp_path / "home", database_url, empty_mlflow, template)


@pytest.fixture
def fleet(settings: Settings, template: Path, tmp_path: Path) -> Iterator[Fleet]:
    work = tmp_path / "work"
    work.mkdir()
    with running(settings, template, work) as made:
        yield made


def same_files(one: Path, other: Path) -> bool:
    """Say whether two checked-out repositories hold the same files."""
    done = subprocess.run(
        ["diff", "-r", "--no-dereference", "--exclude=.git", str(one), str(other)], capture_output=True, check=False
    )
    return done.returncode == 0
