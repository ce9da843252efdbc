"""Where things lie under HOME. One place, so that the launcher, the target and the command line agree."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

_LONGEST_SOCKET = 90
"""Unix socket paths end at 104 (macOS) or 108 bytes, and supervisord appends its pid while it makes one."""


@dataclass(frozen=True)
class Folders:
    """Paths under the platform's HOME."""

    home: Path

    @property
    def marker(self) -> Path:
        """Says that the folder is a platform's HOME and may be deleted as a whole."""
        return self.home / ".mlplatform-home.json"

    @property
    def run(self) -> Path:
        """Everything that describes running processes."""
        return self.home / "run"

    @property
    def supervisor_config(self) -> Path:
        """Configuration of the process keeper."""
        return self.run / "supervisord.conf"

    @property
    def supervisor_pid(self) -> Path:
        """Where supervisord writes its pid."""
        return self.run / "supervisord.pid"

    @property
    def programs(self) -> Path:
        """One file a model server, included by the configuration."""
        return self.run / "conf.d"

    @property
    def pids(self) -> Path:
        """One record a process, see :mod:`backend.local.processes`."""
        return self.run / "pids"

    @property
    def versions(self) -> Path:
        """One record a version that should run."""
        return self.run / "versions"

    @property
    def scratch(self) -> Path:
        """Working folders of model servers."""
        return self.run / "scratch"

    @property
    def bytecode(self) -> Path:
        """What Python compiled for model servers and batch jobs; made anew where it is missing."""
        return self.environments / "bytecode"

    @property
    def jobs(self) -> Path:
        """Batch jobs that are under way, see :mod:`backend.batch.jobs`."""
        return self.run / "jobs"

    @property
    def trials(self) -> Path:
        """What batch versions have written for trial, a folder a rollout."""
        return self.run / "trials"

    @property
    def lock(self) -> Path:
        """Held while run/ is changed."""
        return self.run / ".lock"

    @property
    def envoy_bootstrap(self) -> Path:
        """Envoy's static configuration."""
        return self.run / "envoy" / "bootstrap.json"

    @property
    def xds(self) -> Path:
        """Envoy's dynamic configuration, which it watches."""
        return self.run / "envoy" / "xds"

    @property
    def streams(self) -> Path:
        """One control file a streaming model and environment, see :mod:`mlplatform.streaming.control`."""
        return self.run / "streams"

    @property
    def nats(self) -> Path:
        """What the platform's own NATS server keeps."""
        return self.home / "nats"

    @property
    def nats_credentials(self) -> Path:
        """``user:password`` for the platform's own NATS server."""
        return self.nats / "credentials"

    @property
    def nats_config(self) -> Path:
        """Configuration of the platform's own NATS server."""
        return self.run / "nats.conf"

    @property
    def portal(self) -> Path:
        """What the embedded Backstage keeps: its databases."""
        return self.home / "portal"

    @property
    def portal_config(self) -> Path:
        """Backstage's configuration as far as it follows from the platform's settings."""
        return self.run / "portal.json"

    @property
    def environments(self) -> Path:
        """One Python environment a lock file."""
        return self.home / "environments"

    @property
    def logs(self) -> Path:
        """All logs."""
        return self.home / "logs"

    @property
    def samples(self) -> Path:
        """Payload samples on their way from model servers into the store, and the public key they are sealed for."""
        return self.home / "samples"

    @property
    def socket(self) -> Path:
        """Where supervisord listens: under run/, or in a private temporary folder when that path is too long."""
        wanted = self.run / "supervisor.sock"
        if len(os.fsencode(wanted)) <= _LONGEST_SOCKET:
            return wanted
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"mlplatform-{os.getuid()}" / f"{digest}.sock"

    def make(self) -> None:
        """Create the folders; everything is for this user only."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (
            self.run,
            self.programs,
            self.pids,
            self.versions,
            self.scratch,
            self.streams,
            self.logs,
            self.xds,
        ):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.environments.mkdir(mode=0o755, parents=True, exist_ok=True)
        parent = self.socket.parent
        parent.mkdir(mode=0o700, exist_ok=True)
        status = parent.stat(follow_symlinks=False)
        if parent.is_symlink() or status.st_uid != os.getuid():
            # Anyone may create a folder of that name in the shared temporary folder, and then read what is sent there.
            raise PermissionError(f"{parent} belongs to someone else; set ML_PLATFORM_HOME to a shorter path")
