"""The platform's templates as entities of Backstage's scaffolder: one for each kind of golden path and each other template.

What is shown in Backstage is what the newest release asks. So an entity changes when a version is released, and the version that
it was made from is the one that it makes repositories with.
"""

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from backend.core.errors import PlatformError
from catalog.entities import Template
from catalog.models import LocationState
from catalog.reader import Reading
from catalog.service import Found
from mlplatform.spec.faults import Fault
from scaffolder.api import KINDS
from scaffolder.errors import ScaffoldError
from scaffolder.forms import Form, form_of
from scaffolder.release import TEMPLATE, Release, repository_of
from scaffolder.templates import TemplateInfo

if TYPE_CHECKING:
    from backend.core.container import Services

Json = dict[str, Any]
_GOLDEN: dict[str, tuple[str, str]] = {
    "realtime": ("Real-time model", "A model that answers requests"),
    "batch": ("Batch model", "A model that scores a day's data on schedule"),
    "streaming": ("Streaming model", "A model that answers each message of a stream"),
}
_CONTENT = "code that trains, tests, CI, serving and documentation"
_SETTLED_SECONDS = 15.0
_log = logging.getLogger(__name__)


class TemplateSource:
    """Reads the templates beside everything else, since those of others have to be fetched; :attr:`found` is what was read."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._made: dict[str, tuple[Release, list[Json]]] = {}
        self._thread: threading.Thread | None = None
        # The first release of a fresh platform is built, which must not be in the way of its start.
        self._next = time.monotonic() + (0 if self._index_stamp() else _SETTLED_SECONDS)
        self._stamp: int | None = None
        self.found: Found | None = None
        """``None`` until the templates have been read once: nothing is known then, which is not the same as no templates."""

    def look(self) -> None:
        """Begin to read the templates if something may have been released; returns at once."""
        if self._thread is not None and self._thread.is_alive():
            return
        stamp = self._index_stamp()
        released = stamp != self._stamp and self._stamp is not None
        if not released and time.monotonic() < self._next:
            return
        self._thread = threading.Thread(target=self._read_quietly, name="catalog-templates", daemon=True)
        self._thread.start()

    def read(self) -> None:
        """Read the templates now. One that can't be read leaves what is in the catalog of it."""
        self._stamp = self._index_stamp()
        self._next = time.monotonic() + self._services.settings.catalog.refresh_interval.total_seconds()
        reading = Reading()
        for info in self._services.templates.all():
            try:
                documents = self._documents(info)
            except (ScaffoldError, PlatformError) as fault:
                reading.faults.append(Fault(1, 1, info.name, f"the template can't be read: {fault}"))
                _log.warning("the template %s can't be read: %s", info.name, fault)
                continue
            for document in documents:
                entity = Template.model_validate(document)
                if entity.ref in {one.ref for one in reading.entities}:
                    reading.faults.append(Fault(1, 1, info.name, f"{entity.ref} is the platform's own name"))
                    continue
                reading.entities.append(entity)
                reading.documents.append(document)
        # Making the first release writes the index; that is no news.
        self._stamp = self._index_stamp()
        self.found = Found(LocationState.FAULTY if reading.faults else LocationState.FRESH, reading)

    def _read_quietly(self) -> None:
        try:
            self.read()
        except Exception:  # the next look tries again
            _log.exception("the templates could not be read")

    def _documents(self, info: TemplateInfo) -> list[Json]:
        release = self._services.templates.release(info.name)
        known = self._made.get(info.name)
        if known is not None and known[0] == release:
            return known[1]
        questions = self._services.rendering.questions(release)
        defaults = {"org": next(iter(self._services.hosts)).org}
        if info.name == TEMPLATE:
            made = []
            for kind in KINDS:
                form = form_of(questions, {"type": kind}, defaults)
                title, what = _GOLDEN[kind]
                description = f"{what}: {_CONTENT}."
                made.append(self._entity(info, release, form, f"{kind}-model", title, description, kind))
        else:
            form = form_of(questions, {}, defaults)
            title = info.name.replace("-", " ").capitalize()
            made = [self._entity(info, release, form, info.name, title, info.description or f"Made from {info.url}.")]
        self._made[info.name] = release, made
        return made

    def _entity(
        self, info: TemplateInfo, release: Release, form: Form, name: str, title: str, description: str, kind: str = ""
    ) -> Json:
        given: Json = {"template": info.name, "version": release.tag}
        if kind:
            given["type"] = kind
        given |= {one: _parameter(one) for one in ("name", "owner")}
        given["answers"] = {
            one: f"${{{{ secrets.{one} }}}}" if one in form.secrets else _parameter(one)
            for one in form.answers
            if one not in {"name", "owner"}
        }
        output = "steps.scaffold.output"
        links = [
            {
                "title": "Repository",
                "url": f"${{{{ {output}.repositoryUrl }}}}",
                "if": f"${{{{ {output}.repositoryUrl }}}}",
            },
            {"title": "Open in the catalog", "icon": "catalog", "entityRef": f"${{{{ {output}.entityRef }}}}"},
        ]
        return {
            "apiVersion": "scaffolder.backstage.io/v1beta3",
            "kind": "Template",
            "metadata": {
                "name": name,
                "namespace": "default",
                "title": title,
                "description": description,
                "tags": ["ml", kind, "golden-path"] if kind else ["ml"],
            },
            "spec": {
                "type": "ml-model",
                "owner": next(iter(self._services.settings.permissions.platform_admins), "group:default/platform"),
                "parameters": form.pages,
                "steps": [
                    {"id": "scaffold", "name": "Make the repository", "action": "mlplatform:scaffold", "input": given}
                ],
                "output": {"links": links},
            },
        }

    def _index_stamp(self) -> int | None:
        """Return when something was last released to the golden path, without asking git."""
        try:
            return repository_of(self._services.settings.home).with_suffix(".json").stat().st_mtime_ns
        except OSError:
            return None


def _parameter(name: str) -> str:
    return f"${{{{ parameters.{name} }}}}"
