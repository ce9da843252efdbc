"""How an uploaded bundle becomes a version — or nothing: whatever goes wrong, nothing of it is kept."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action, ModelResource
from backend.attestations.service import Verified
from backend.core.database import Database, lock_for_transaction
from backend.core.errors import Conflict, Forbidden, PlatformError
from backend.identity.principal import Principal
from backend.registry.bundle import BundleLimits, keep, unpack
from backend.registry.checks import check_bundle, check_manifest, parse_manifest
from backend.registry.mlflow_store import MlflowVersion
from backend.registry.models import ModelRow, VersionRow
from backend.registry.repository import find_same, has_run
from backend.registry.schemas import Manifest, VersionOut
from backend.registry.service import RegistryService
from backend.registry.uploads import abandoned_uploads
from mlplatform.attest.digest import artefact_digest, file_sha256
from mlplatform.attest.statement import Subject
from mlplatform.reference.profile import FILE as REFERENCE
from mlplatform.spec.model import ModelSpec

REGISTERED = "ml-platform.registry.version.registered"
REFUSED = "ml-platform.registry.registration.refused"
UPLOAD_TAG = "mlplatform.upload"

_AUDITED_STATUSES = {403, 413, 422}
_log = logging.getLogger(__name__)


class OtherRepository(Forbidden):
    """The model belongs to another repository."""

    slug: ClassVar[str] = "other-repository"
    title: ClassVar[str] = "Other repository"


@dataclass(frozen=True)
class _WouldBe:
    """The model as this registration would make it."""

    name: str
    owner: str
    repository: str


@dataclass(frozen=True)
class Registration:
    """One registration under way: ``folder`` holds the files ``manifest`` and ``bundle``."""

    registry: RegistryService
    database: Database
    caller: Principal
    model: str
    folder: Path

    def run(self) -> tuple[VersionOut, bool]:
        """Register; return the version, and whether it is new.

        Raises:
            PlatformError: it was refused or failed, and nothing of it is left.
        """
        try:
            version, new = self._run()
        except PlatformError as error:
            self.registry.metrics.registrations.labels("refused" if error.status < 500 else "failed").inc()
            if error.refusal is None and error.status in _AUDITED_STATUSES:
                error.audited(type=REFUSED, subject=f"model:{self.model}", actor=self.caller.ref)
            raise
        self.registry.metrics.registrations.labels("registered" if new else "present").inc()
        return version, new

    def _run(self) -> tuple[VersionOut, bool]:
        manifest = parse_manifest((self.folder / "manifest").read_bytes())
        check_manifest(manifest, self.model)
        with self.database.read() as session:
            rules, _ = self._allowed(session, manifest)
            present = self._present(session, manifest)
        if present is not None:
            return self._attested(manifest, rules), False
        bundle, spec_digest = self._unpacked(manifest)
        digest = artefact_digest(bundle)
        subject = _subject(manifest, spec_digest)
        with self.database.read() as session:
            attestations = self._verified(session, manifest, rules, subject)
        logged = self._log_to_mlflow(manifest, bundle / "model")
        try:
            return self._write(manifest, bundle, digest, subject, logged, attestations)
        except BaseException:
            self._undo(logged)
            raise

    def _allowed(self, session: Session, manifest: Manifest) -> tuple[_WouldBe, Decision]:
        """Say which rules this registration is held to, and by which policies the caller may register.

        Raises:
            OtherRepository: the model belongs to another repository.
            Forbidden: the caller may not register it.
        """
        repository = manifest.training.git.repository
        model = session.get(ModelRow, self.model)
        if model is None:
            rules = _WouldBe(self.model, manifest.spec.owner, repository)
        else:
            rules = _WouldBe(model.name, model.owner, model.repository)
        if rules.repository != repository:
            raise OtherRepository(
                f"the model {self.model} belongs to the repository {rules.repository}, not to {repository}",
                fix="Give the model another name in model.yaml.",
            )
        if self.caller.commit not in (None, manifest.training.git.commit):
            raise Forbidden(
                f"{self.caller.ref} runs for commit {str(self.caller.commit)[:12]}, and the model was trained from "
                f"{manifest.training.git.commit[:12]}",
                fix="Check out in CI the commit that the job was started for.",
            )
        decision = self.registry.attestations.access.require(
            session,
            self.caller,
            Action.REGISTER,
            ModelResource(rules.name, rules.owner, rules.repository),
            detail=f"{self.caller.ref} may not register {self.model}: "
            f"only its repository {rules.repository} and its owner {rules.owner} may",
            fix="Sign in as a member of the owner group, or register from the repository's CI.",
            event=REFUSED,
        )
        return rules, decision

    def _present(self, session: Session, manifest: Manifest) -> VersionRow | None:
        """Return the version that this registration would make again.

        Raises:
            Conflict: there is one of the same artefact and commit that was judged or would be served otherwise.
        """
        git = manifest.training.git
        found = find_same(
            session, self.model, digest=manifest.model_digest, commit=git.commit, repository=git.repository
        )
        if found is None:
            return None
        if found.deleted_at is not None:
            raise Conflict(
                f"version {found.version} was this artefact from commit {git.commit[:12]}; its retention is over",
                fix="Train again from a new commit, and register what comes out.",
            )
        same_lock = found.lineage["lockDigest"] == manifest.training.lock_digest
        if not same_lock or ModelSpec.model_validate(found.spec) != manifest.spec:
            changed = "model.yaml" if same_lock else "uv.lock"
            raise Conflict(
                f"version {found.version} is this artefact from commit {git.commit[:12]}, with another {changed}",
                fix="Commit the change, train again, and register what comes out.",
            )
        return found

    def _attested(self, manifest: Manifest, rules: _WouldBe) -> VersionOut:
        """Keep what a repeated registration says of the version that is there: gates may have been run again."""
        with self.database.write() as session:
            present = self._present(session, manifest)
            assert present is not None, "versions are never deleted"
            for verified in self._verified(session, manifest, rules, self.registry.subject(present)):
                self.registry.attestations.store(session, self.caller, verified)
            return self.registry.version_out(session, present)

    def _unpacked(self, manifest: Manifest) -> tuple[Path, str]:
        limits = self.registry.settings.limits
        into = self.folder / "unpacked"
        unpack(self.folder / "bundle", into, BundleLimits(limits.bundle_bytes, limits.bundle_files))
        return into, check_bundle(manifest, into)

    def _verified(self, session: Session, manifest: Manifest, rules: _WouldBe, subject: Subject) -> list[Verified]:
        verify = self.registry.attestations.verify
        return [
            verify(session, self.caller, envelope, model=rules, subject=subject) for envelope in manifest.attestations
        ]

    def _log_to_mlflow(self, manifest: Manifest, folder: Path) -> MlflowVersion:
        git = manifest.training.git
        return self.registry.store.register(
            self.model,
            folder,
            description=manifest.spec.description,
            metrics=manifest.training.metrics,
            params=manifest.training.params,
            tags={
                UPLOAD_TAG: self.folder.name,
                "git.commit": git.commit,
                "git.repository": git.repository,
                "artefact.sha256": manifest.model_digest,
                "owner": manifest.spec.owner,
                "registeredBy": self.caller.ref,
            },
        )

    def _undo(self, logged: MlflowVersion) -> None:
        try:
            self.registry.store.unregister(self.model, logged)
        except Exception:
            _log.exception("can't take a version back from MLflow", extra={"model": self.model})

    def _write(
        self,
        manifest: Manifest,
        bundle: Path,
        digest: str,
        subject: Subject,
        logged: MlflowVersion,
        attestations: Sequence[Verified],
    ) -> tuple[VersionOut, bool]:
        with self.database.write() as session:
            lock_for_transaction(session, f"registration:{self.model}")
            # Others may have registered the same model, or the same version, since it was looked at.
            _, decision = self._allowed(session, manifest)
            if present := self._present(session, manifest):
                self._undo(logged)
                for verified in attestations:
                    self.registry.attestations.store(session, self.caller, verified)
                return self.registry.version_out(session, present), False
            self._keep_model(session, manifest)
            self.registry.changed(session, self.model)
            row = self._version(manifest, bundle, digest, subject, logged)
            session.add(row)
            session.flush()
            self.registry.declared(session, row)
            self.registry.audit.append(
                session,
                type=REGISTERED,
                subject=f"model:{self.model}/versions/{row.version}",
                actor=self.caller,
                data={
                    "digest": row.digest,
                    "bundle": row.bundle,
                    "lineage": {**row.lineage, "runId": row.run_id},
                    "metrics": row.metrics,
                    "access": decision.as_json(),
                },
            )
            for verified in attestations:
                self.registry.attestations.store(session, self.caller, verified)
            out = self.registry.version_out(session, row)
            place = self.registry.artefacts / digest
            was_there = place.exists()
            keep(bundle, self.registry.artefacts, digest)
            try:
                session.commit()
            except BaseException:
                if not was_there:
                    shutil.rmtree(place, ignore_errors=True)
                raise
        return out, True

    def _keep_model(self, session: Session, manifest: Manifest) -> None:
        """Make the model's row, or bring it up to date with its model.yaml."""
        spec = manifest.spec
        said: dict[str, Any] = {
            "description": spec.description,
            "type": spec.type.value,
            "owner": spec.owner,
            "system": spec.system,
            "tier": spec.tier,
            "cost_centre": spec.cost_centre,
        }
        row = session.get(ModelRow, self.model)
        if row is None:
            row = ModelRow(
                name=self.model,
                repository=manifest.training.git.repository,
                created_at=self.registry.clock.now(),
                created_by=self.caller.ref,
                **said,
            )
            session.add(row)
            session.flush()
            self._audit_model(session, "created", {**said, "repository": row.repository})
            return
        changes = {name: value for name, value in said.items() if getattr(row, name) != value}
        if changes:
            before = {name: getattr(row, name) for name in changes}
            for name, value in changes.items():
                setattr(row, name, value)
            self._audit_model(session, "changed", {"from": before, "to": changes})

    def _audit_model(self, session: Session, verb: str, data: dict[str, Any]) -> None:
        self.registry.audit.append(
            session,
            type=f"ml-platform.registry.model.{verb}",
            subject=f"model:{self.model}",
            actor=self.caller,
            data=data,
        )

    def _version(
        self, manifest: Manifest, bundle: Path, digest: str, subject: Subject, logged: MlflowVersion
    ) -> VersionRow:
        training = manifest.training
        recorded = training.model_dump(mode="json", by_alias=True)
        reference = bundle / REFERENCE
        lineage = {
            "commit": training.git.commit,
            "repository": training.git.repository,
            "dirty": training.git.dirty,
            "commitAuthor": training.git.author,
            "committedAt": recorded["git"]["committedAt"],
            "specDigest": subject.spec_digest,
            "referenceDigest": file_sha256(reference) if reference.is_file() else None,
            "onBehalfOf": self.caller.on_behalf_of,
            "ciRun": self.caller.run,
            **{name: recorded[name] for name in ("data", "lockDigest", "python", "startedAt", "finishedAt")},
        }
        return VersionRow(
            model=self.model,
            version=logged.version,
            digest=manifest.model_digest,
            bundle=digest,
            run_id=logged.run_id,
            repository=training.git.repository,
            commit=training.git.commit,
            lineage=lineage,
            metrics=training.metrics,
            params=recorded["params"],
            spec=manifest.spec.model_dump(mode="json", by_alias=True),
            created_at=self.registry.clock.now(),
            created_by=self.caller.ref,
        )


def _subject(manifest: Manifest, spec_digest: str) -> Subject:
    git = manifest.training.git
    return Subject(
        model=manifest.spec.name,
        digest=manifest.model_digest,
        repository=git.repository,
        commit=git.commit,
        lock_digest=manifest.training.lock_digest,
        spec_digest=spec_digest,
    )


def forget_abandoned(registry: RegistryService, database: Database) -> None:
    """Take back what processes that died in a registration left: uploads, and MLflow's versions and runs without a row."""
    with abandoned_uploads(registry.uploads) as folders:
        for folder in folders:
            wanted = f"tags.`{UPLOAD_TAG}` = '{folder.name}'"
            for found in registry.store.client().search_model_versions(wanted):
                with database.read() as session:
                    if session.get(VersionRow, (found.name, int(found.version))) is None:
                        unfinished = MlflowVersion(int(found.version), str(found.run_id))
                        registry.store.unregister(found.name, unfinished)
                        _log.warning("took back an unfinished registration", extra={"model": found.name})
            for run_id in registry.store.runs_with(UPLOAD_TAG, folder.name):
                with database.read() as session:
                    is_known = has_run(session, run_id)
                if not is_known:
                    registry.store.forget_run(run_id)
