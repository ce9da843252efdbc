"""Second places that checkpoints are published to: a git repository, or a bucket with Object Lock."""

import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from backend.core.config_record import GitTargetSettings, S3TargetSettings

if TYPE_CHECKING:
    from git import Git

_NEWEST = "checkpoint"
_DIGITS = 16
_AUTHOR = {
    "GIT_AUTHOR_NAME": "ML platform",
    "GIT_AUTHOR_EMAIL": "ml-platform@localhost",
    "GIT_COMMITTER_NAME": "ML platform",
    "GIT_COMMITTER_EMAIL": "ml-platform@localhost",
}


class PlaceUnusable(Exception):
    """The place does not answer, or does not take what is published."""


class Place(Protocol):
    """Where checkpoints are kept out of the platform's reach."""

    def newest(self) -> str | None:
        """Return the note that was published last; nothing if there is none.

        Raises:
            PlaceUnusable: it can't be asked.
        """
        ...

    def put(self, size: int, note: str, at: datetime) -> str:
        """Publish a note, and return where it is.

        Raises:
            PlaceUnusable: it was not taken.
        """
        ...


class GitPlace:
    """A branch of a git repository: ``checkpoint`` is the newest, ``checkpoints/<size>`` each one.

    Commits are made without a worktree and pushed without force, so what is there is only added to.
    """

    def __init__(self, settings: GitTargetSettings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._access = _access(settings)

    def newest(self) -> str | None:
        """Fetch the branch, and return what its newest commit holds."""
        from git import GitCommandError

        from scaffolder.git import read_blob

        git = self._git()
        branch = f"refs/heads/{self._settings.branch}"
        try:
            listed = str(git.ls_remote("--", self._access[0], branch))
            git.execute([*self._command, "update-ref", "-d", branch])
            if not listed.strip():
                return None
            git.fetch("--quiet", "--no-tags", "--", self._access[0], f"+{branch}:{branch}")
        except GitCommandError as fault:
            raise self._unusable(fault) from None
        note = read_blob(self._folder, f"{branch}:{_NEWEST}")
        return "" if note is None else note.decode("utf-8", "replace")

    def put(self, size: int, note: str, at: datetime) -> str:
        """Commit the note on top of what :meth:`newest` fetched, and push it."""
        from git import GitCommandError

        from scaffolder.git import write_blob

        git, branch = self._git(), f"refs/heads/{self._settings.branch}"
        blob = write_blob(self._folder, note.encode())
        name = f"checkpoints/{size:0{_DIGITS}}"
        dated = {"GIT_AUTHOR_DATE": at.isoformat(), "GIT_COMMITTER_DATE": at.isoformat()}
        with tempfile.TemporaryDirectory() as scratch:
            environment = {"GIT_INDEX_FILE": str(Path(scratch) / "index"), **_AUTHOR, **dated}
            try:
                parent = str(git.for_each_ref("--format=%(objectname)", branch))
                with git.custom_environment(**environment):
                    git.execute([*self._command, "read-tree", parent or "--empty"])
                    for path in (_NEWEST, name):
                        entry = f"100644,{blob},{path}"
                        git.execute([*self._command, "update-index", "--add", "--cacheinfo", entry])
                    tree = str(git.execute([*self._command, "write-tree"]))
                    parents = ["-p", parent] if parent else []
                    message = f"Checkpoint over {size} events"
                    commit = str(git.execute([*self._command, "commit-tree", tree, *parents, "-m", message]))
                git.push("--quiet", "--no-verify", "--", self._access[0], f"{commit}:{branch}")
            except GitCommandError as fault:
                raise self._unusable(fault) from None
        return f"{self._settings.url} {name} in {commit[:12]}"

    @property
    def _command(self) -> list[str]:
        return ["git", "-C", str(self._folder)]

    def _git(self) -> "Git":
        from scaffolder.git import git_in, initialise

        if not (self._folder / "HEAD").exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            initialise(self._folder, bare=True)
        return git_in(self._folder, self._access[1])

    def _unusable(self, fault: Any) -> PlaceUnusable:
        from scaffolder.git import said

        return PlaceUnusable(f"{self._settings.url} says: {said(fault)}")


class S3Place:
    """Objects of a bucket, each locked for a time: neither a new version nor an administrator takes the first one away."""

    def __init__(self, settings: S3TargetSettings, last: int) -> None:
        self._settings, self._last = settings, last
        self._client = _client(settings)

    def newest(self) -> str | None:
        """Return the object with the largest number, in its first version."""
        bucket, prefix = self._settings.bucket, self._settings.prefix
        begin = f"{prefix}{max(self._last - 1, 0):0{_DIGITS}}"
        key = None
        try:
            listed = self._client.get_paginator("list_objects_v2")
            for page in listed.paginate(Bucket=bucket, Prefix=prefix, StartAfter=begin):
                key = max((one["Key"] for one in page.get("Contents", [])), default=key)
            if key is None:
                return None
            versions = self._client.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", [])
            # Listed with the newest first.
            first = [one for one in versions if one["Key"] == key][-1]
            answer = self._client.get_object(Bucket=bucket, Key=key, VersionId=first["VersionId"])
            return str(answer["Body"].read(1 << 20).decode("utf-8", "replace"))
        except self._faults as fault:
            raise PlaceUnusable(f"s3://{bucket} says: {fault}") from None

    def put(self, size: int, note: str, at: datetime) -> str:
        """Put the note with a retention that nobody can shorten, and see that the bucket took that."""
        key = f"{self._settings.prefix}{size:0{_DIGITS}}"
        place = {"Bucket": self._settings.bucket, "Key": key}
        try:
            self._client.put_object(
                **place,
                Body=note.encode(),
                ContentType="text/plain; charset=utf-8",
                ChecksumAlgorithm="SHA256",
                ObjectLockMode="COMPLIANCE",
                ObjectLockRetainUntilDate=at + self._settings.retention,
            )
            kept: Mapping[str, Any] = self._client.head_object(**place)
        except self._faults as fault:
            raise PlaceUnusable(f"s3://{self._settings.bucket} says: {fault}") from None
        if kept.get("ObjectLockMode") != "COMPLIANCE":
            raise PlaceUnusable(f"s3://{self._settings.bucket} does not lock objects; make it with Object Lock")
        return f"s3://{self._settings.bucket}/{key}"

    @property
    def _faults(self) -> tuple[type[Exception], ...]:
        from botocore.exceptions import BotoCoreError, ClientError

        return (BotoCoreError, ClientError)


def place_of(settings: GitTargetSettings | S3TargetSettings, folder: Path, last: int) -> Place:
    """Return the place that is configured; ``last`` is the size that was published there last, as far as is known.

    Raises:
        PlaceUnusable: something that is needed for it is not installed.
    """
    return GitPlace(settings, folder) if isinstance(settings, GitTargetSettings) else S3Place(settings, last)


def _access(settings: GitTargetSettings) -> tuple[str, dict[str, str]]:
    from scaffolder.git import http_access, safe_environment

    if settings.token is not None:
        access = http_access(settings.url, settings.user, settings.token.get_secret_value())
        return access.url, dict(access.environment)
    scheme = settings.url.partition("://")[0] if "://" in settings.url else "file"
    return settings.url, safe_environment(protocols=(scheme,))


def _client(settings: S3TargetSettings) -> Any:
    try:
        import boto3
    except ImportError:
        raise PlaceUnusable("boto3 is not installed; install the platform with its extra `aws`") from None
    return boto3.client("s3", endpoint_url=settings.endpoint_url, region_name=settings.region)
