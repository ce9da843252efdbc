"""What ``platform up`` and ``platform down`` do, as two functions."""

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from backend.core.config import Settings, load_settings
from backend.core.config_base import reached_at
from backend.core.config_files import ConfigError
from backend.core.errors import PlatformError
from backend.deployments.targets.local.supervisor import check_path, render_config
from backend.local import nats
from backend.local.folders import Folders
from backend.local.platform import (
    BACKEND,
    ENVOY,
    KEEPER,
    Echo,
    LocalPlatform,
    answers,
    envoy_bootstrap,
    log_of,
    needed_ports,
    programs,
    starting_lock,
)
from backend.local.portal import program as portal
from backend.local.portal.build import PortalError, prepare
from backend.local.ports import taken
from backend.local.processes import recorded

_START_SECONDS = 180.0
_POLL_SECONDS = 0.1
_STILL_WAITING_SECONDS = 5.0
_WORTH_TELLING_SECONDS = 0.1
_KNOWN = frozenset({
    ".migrations.lock", "artefacts", "audit", "credentials.json", "demo", "environments", "git", "identity", "lake", "logs",
    "mlflow", "nats", "portal", "run", "sandbox", "scaffolds", "templates", "toolkit", "uploads",
})  # fmt: skip
_KNOWN_BEGINNINGS = ("platform.db", "workflows.db")
"""What the platform itself puts into HOME."""


class LauncherError(Exception):
    """The platform could not be started or stopped; ``fix`` says what to do."""

    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


@dataclass(frozen=True)
class UpResult:
    """Where the platform is, and which processes it consists of."""

    urls: dict[str, str]
    pids: dict[str, int]
    started: list[str] = field(default_factory=list)
    """What was not running before."""


@dataclass
class _Ends:
    """Counts how often a program has ended, from the time of its last end."""

    allowed: int
    last: int | None

    def too_many(self, ended_at: int) -> bool:
        """Take the time of the last end as it is now; tell whether there were more ends than allowed."""
        if self.last is not None and ended_at != self.last:
            self.allowed -= 1
        self.last = ended_at
        return self.allowed < 0


def home_of(named: str | None, configs: list[Path]) -> Path:
    """Return the platform's home folder: the one that is named, else the one that the configuration names.

    Raises:
        LauncherError: the configuration can't be used.
    """
    return Path(named).resolve() if named else _settings(None, configs).home


def portal_url(named: str | None, configs: list[Path]) -> str | None:
    """Return where browsers find the portal; nothing where the configuration has none.

    Raises:
        LauncherError: the configuration can't be used.
    """
    settings = _settings(Path(named).resolve() if named else None, configs)
    return settings.portal.url if settings.portal.enabled else None


def up(*, home: Path, configs: list[Path], wait: bool = True, with_portal: bool = True, echo: Echo = print) -> UpResult:
    """Start what is not running yet; with ``wait`` return when everything answers.

    The portal is started where the configuration has it and ``with_portal`` does not leave it out.

    Raises:
        LauncherError: wrong configuration, a port that is taken, or something that does not stay up.
    """
    settings = _settings(home, configs)
    if not with_portal:
        settings = settings.model_copy(update={"portal": settings.portal.model_copy(update={"enabled": False})})
    folders = Folders(settings.home)
    platform = LocalPlatform(folders)
    if settings.portal.enabled:
        try:
            prepare(echo)
        except PortalError as fault:
            raise LauncherError(fault.message, fault.fix) from fault
    try:
        check_path(folders.home)
        fresh = not folders.home.exists() or _is_ours(folders)
        folders.make()
    except (ValueError, PermissionError) as fault:
        raise LauncherError(f"HOME can't be used: {fault}", "set ML_PLATFORM_HOME to another folder") from fault
    if fresh and not folders.marker.exists():
        folders.marker.write_text(json.dumps({"home": "ml-platform", "layout": 1}), encoding="utf-8")
    with starting_lock(folders, echo):
        try:
            started = _start(platform, settings, configs, echo)
        except PlatformError as fault:
            platform.stop_orphans(echo)
            raise LauncherError(fault.detail, fault.fix) from fault
    if wait:
        try:
            _wait(platform, settings, echo, fresh=KEEPER in started)
        except LauncherError:
            if KEEPER in started:  # nothing half-done: what this call started is not left behind
                down(home=folders.home, echo=echo)
            raise
    return UpResult(urls=_urls(folders, settings), pids=_pids(platform), started=started)


def down(*, home: Path, forget: bool = False, echo: Echo = print) -> None:
    """Stop everything that runs under HOME; with ``forget`` delete HOME as well.

    Raises:
        LauncherError: HOME should be deleted but does not look like the platform's.
    """
    folders = Folders(home.expanduser().resolve())
    if not folders.home.exists():
        return
    if forget and not _is_ours(folders):
        raise LauncherError(
            f"{folders.home} holds files that are not the platform's; nothing was stopped or deleted",
            "delete it by hand if you mean to",
        )
    if folders.run.exists():
        platform = LocalPlatform(folders)
        with starting_lock(folders, echo):
            if platform.keeper_pid() is not None:
                platform.stop_kept(echo)
            platform.stop_orphans(echo)
    if forget:
        shutil.rmtree(folders.home)
        echo(f"deleted {folders.home}")


def _settings(home: Path | None, configs: list[Path]) -> Settings:
    environment = {**os.environ, "ML_PLATFORM_HOME": str(home or "")}
    try:
        return load_settings(list(configs), environment)
    except ConfigError as fault:
        raise LauncherError("the configuration can't be used:\n" + "\n".join(fault.faults)) from fault


def _start(platform: LocalPlatform, settings: Settings, configs: list[Path], echo: Echo) -> list[str]:
    folders = platform.folders
    if platform.keeper_pid() is not None:
        if _outdated(folders, settings, configs):
            echo("the configuration has changed since the start; run `platform down` and `platform up` to take it over")
        again = platform.restart_what_is_down()
        for name in again:
            echo(f"{name} was down and is started again")
        return again
    platform.stop_orphans(echo)
    busy = taken(needed_ports(folders, settings))
    if busy:
        raise LauncherError("; ".join(busy), "or stop the process that has the port")
    platform.prepare(settings, configs)
    platform.start_keeper(configs)
    return [KEEPER, ENVOY, BACKEND]


def _outdated(folders: Folders, settings: Settings, configs: list[Path]) -> bool:
    try:
        present = folders.supervisor_config.read_text(encoding="utf-8")
        envoy = json.loads(folders.envoy_bootstrap.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    wanted = render_config(folders, programs(folders, settings, configs))
    return present != wanted or envoy != json.loads(json.dumps(envoy_bootstrap(folders, settings)))


def _wait(platform: LocalPlatform, settings: Settings, echo: Echo, *, fresh: bool) -> None:
    host = reached_at(settings.backend.host)
    waiting: dict[str, Callable[[], bool]] = {
        ENVOY: lambda: answers(f"http://127.0.0.1:{settings.ingress.admin_port}/ready"),
        BACKEND: lambda: answers(f"http://{host}:{settings.backend.port}/readyz"),
    }
    if settings.portal.enabled:
        waiting[portal.NAME] = lambda: answers(settings.portal.address + portal.READY)
    begun = told = time.monotonic()
    # When this found the platform running, one more end may be that of a process that was killed just before.
    ends = {name: _Ends(0 if fresh else 1, 0 if fresh else None) for name in waiting}
    while waiting:
        for name, ready in list(waiting.items()):
            if ready():
                del waiting[name]
                if (took := time.monotonic() - begun) >= _WORTH_TELLING_SECONDS:
                    echo(f"{name} is ready after {took:.1f} s")
                continue
            state = platform.states().get(name)
            if state is not None and ends[name].too_many(state.stopped):
                said = platform.last_words(name) or "(it wrote nothing)"
                log = log_of(platform.folders, name)
                raise LauncherError(f"{name} does not stay up; its last words:\n{said}", f"the whole log is {log}")
        if not waiting:
            return
        now = time.monotonic()
        if now - begun > _START_SECONDS:
            names = " and ".join(waiting)
            log = log_of(platform.folders, next(iter(waiting)))
            raise LauncherError(f"{names} did not get ready within {_START_SECONDS:.0f} s", f"look into {log}")
        if now - told > _STILL_WAITING_SECONDS:
            told = now
            echo(f"waiting for {' and '.join(waiting)} ({now - begun:.0f} s)")
        time.sleep(_POLL_SECONDS)


def _urls(folders: Folders, settings: Settings) -> dict[str, str]:
    urls = {"portal": settings.portal.url} if settings.portal.enabled else {}
    urls |= {"backend": settings.base_url, "api docs": f"{settings.base_url}/docs"}
    if settings.mlflow.embedded:
        urls["mlflow"] = f"{settings.base_url}/mlflow"
    urls["models"] = settings.ingress_url
    if nats.is_used(folders):
        urls["streams"] = nats.url(settings)
    return urls


def _pids(platform: LocalPlatform) -> dict[str, int]:
    keeper = platform.keeper_pid()
    own = {KEEPER: keeper} if keeper is not None else {}
    return own | {name: state.pid for name, state in platform.states().items() if state.runs}


def _is_ours(folders: Folders) -> bool:
    if folders.marker.exists():
        return True
    names = [path.name for path in folders.home.iterdir()]
    return all(name in _KNOWN or name.startswith(_KNOWN_BEGINNINGS) for name in names)


def leftovers(home: Path) -> list[str]:
    """Return the names of processes of a HOME that still run; for tests and for whoever is in doubt."""
    return [process.name for process in recorded(Folders(home).pids)]
