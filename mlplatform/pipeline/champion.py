"""Fetch the champion, so that a new model is judged on the same data beside it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlplatform.attest.digest import artefact_digest
from mlplatform.gates.context import NO_CHAMPION, ChampionArtefact
from mlplatform.pipeline.workspace import Workspace


@dataclass(frozen=True)
class Champion:
    """The champion, or why there is none to compare with."""

    artefact: ChampionArtefact | None
    unavailable: str | None


def fetch_champion(workspace: Workspace, *, warn: Callable[[str], None] = lambda _: None) -> Champion:
    """Bring the champion's model to ``build/champion`` when a platform can be asked; never fails the stage.

    What was fetched before is used again when the platform says that it is still the champion.
    """
    from mlplatform.client import (
        ClientError,
        CredentialStore,
        PlatformClient,
        PlatformProblem,
        PlatformUnreachable,
        default_url,
    )

    url = default_url()
    try:
        credentials = CredentialStore(warn=warn).find(url)
        if credentials is None:
            return Champion(None, f"not signed in to {url}")
        with PlatformClient(url, credentials.source or credentials.token, timeout=30, attempts=2) as client:
            version = client.version(workspace.spec.name, "champion")
            return Champion(_fetched(workspace, client, version["version"], version["digest"]), None)
    except PlatformUnreachable as error:
        return Champion(None, f"no platform: {error.message}")
    except PlatformProblem as error:
        if error.status == 404:
            return Champion(None, NO_CHAMPION)
        return Champion(None, f"the platform refused to say: {error.message}")
    except ClientError as error:
        return Champion(None, error.message)
    except OSError as error:
        return Champion(None, f"the champion can't be stored: {error.strerror or error}")


def _fetched(workspace: Workspace, client: object, version: int, digest: str) -> ChampionArtefact:
    from mlplatform.client import ClientError, PlatformClient

    assert isinstance(client, PlatformClient)
    model, marker = workspace.champion / "model", workspace.champion / "champion.json"
    if not (_recorded(marker) == digest and model.is_dir() and artefact_digest(model) == digest):
        fresh = workspace.build / "champion.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        try:
            client.download_bundle(workspace.spec.name, version, fresh)
            if not (fresh / "model").is_dir() or artefact_digest(fresh / "model") != digest:
                raise ClientError(f"the champion's bundle (version {version}) does not have the digest it should have")
            shutil.rmtree(workspace.champion, ignore_errors=True)
            fresh.replace(workspace.champion)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        workspace.write(marker, {"version": version, "sha256": digest})
    return ChampionArtefact(path=model, version=version, digest=digest)


def _recorded(marker: Path) -> str | None:
    try:
        document = json.loads(marker.read_bytes())
    except (OSError, ValueError):
        return None
    return document.get("sha256") if isinstance(document, dict) else None
