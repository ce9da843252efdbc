"""Folders of dashboards as those who show them read them.

For Grafana what its provisioning takes (https://grafana.com/docs/grafana/latest/administration/provisioning/), with the scrape
configuration of a Prometheus beside it; for Datadog the bodies of its API and what its agent has to collect.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mlplatform.pipeline.errors import StageRefused

WRITTEN = ".generated.json"
"""What an earlier run wrote, so that dashboards of models that are gone are taken away, and nothing else."""
NAMESPACE = "mlplatform"
"""What the names of all metrics begin with in Datadog."""
AGES = {"ml_platform_batch_last_success_timestamp_seconds": "ml_platform_batch_last_success_age_seconds"}
"""Times that Datadog's agent turns into ages: its queries know no present."""
_FOLDERS = {"model": "Models", "team": "Teams", "platform": "Platform"}

Json = dict[str, Any]


def grafana_files(found: Iterable[Json], *, shown_at: str, prometheus: str, platform: str) -> dict[str, str]:
    """Return the files of a folder that a Grafana which has it at ``shown_at`` shows; text by path."""
    provider = {
        "name": "ml-platform",
        "type": "file",
        "allowUiUpdates": False,
        "updateIntervalSeconds": 30,
        "options": {"path": f"{shown_at}/dashboards", "foldersFromFilesStructure": True},
    }
    source = {"name": "Prometheus", "type": "prometheus", "access": "proxy", "url": prometheus, "isDefault": True}
    files = {
        "provisioning/dashboards/ml-platform.yaml": _text({"apiVersion": 1, "providers": [provider]}),
        "provisioning/datasources/prometheus.yaml": _text({"apiVersion": 1, "datasources": [source]}),
        "prometheus/scrape.yaml": _text(_scrape(platform)),
    }
    for one in found:
        files[f"dashboards/{_FOLDERS[one['kind']]}/{one['uid']}.json"] = _text(one["dashboard"])
    return files


def datadog_files(found: Sequence[Json], *, platform: str) -> dict[str, str]:
    """Return dashboards, monitors and the agent's ``openmetrics.d/conf.yaml``; text by path."""
    files: dict[str, str] = {}
    wanted: set[str] = set()
    for one in found:
        wanted |= set(one["metrics"])
        files[f"dashboards/{one['uid']}.json"] = _text(one["dashboard"])
        for number, monitor in enumerate(one["monitors"], 1):
            files[f"monitors/{one['uid']}-{number}.json"] = _text(monitor)
            wanted.add("ml_platform_slo_alert_firing")
    metrics = [
        {name: {"name": AGES[name], "type": "time_elapsed"}} if name in AGES else name for name in sorted(wanted)
    ]
    instance = {
        "openmetrics_endpoint": f"{platform.rstrip('/')}/metrics",
        "namespace": NAMESPACE,
        "metrics": metrics,
        "histogram_buckets_as_distributions": True,
        "collect_counters_with_distributions": True,
    }
    # One instance for each endpoint: those of Envoy and the model servers are to be added where they are reached.
    files["agent/openmetrics.d/conf.yaml"] = _text({"init_config": {}, "instances": [instance]})
    return files


def write(folder: Path, files: dict[str, str], *, whole: bool) -> tuple[list[str], list[str]]:
    """Write what is new or changed; with ``whole`` also take away what an earlier run wrote and is not there any more.

    Returns:
        The paths that were written, and those that were removed.

    Raises:
        StageRefused: the folder can't be written to.
    """
    before = _written(folder)
    changed, removed = [], []
    try:
        for path, text in sorted(files.items()):
            place = folder / path
            if place.is_file() and place.read_bytes() == text.encode():
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary = place.with_name(f".{place.name}.new")
            temporary.write_text(text, encoding="utf-8", newline="\n")
            temporary.replace(place)
            changed.append(path)
        gone = sorted(before - set(files)) if whole else []
        for path in gone:
            place = folder / path
            if place.resolve().is_relative_to(folder.resolve()) and place.is_file():
                place.unlink()
                removed.append(path)
        known = sorted(set(files) if whole else before | set(files))
        (folder / WRITTEN).write_text(_text(known), encoding="utf-8")
    except OSError as error:
        raise StageRefused(f"{folder} can't be written to: {error.strerror}", fix="name another folder") from None
    return changed, removed


def _written(folder: Path) -> set[str]:
    try:
        found = json.loads((folder / WRITTEN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return {one for one in found if isinstance(one, str)} if isinstance(found, list) else set()


def _scrape(platform: str) -> Json:
    """Return the scrape configuration of a Prometheus that finds model servers by itself."""
    found = {
        "url": f"{platform.rstrip('/')}/api/ml-platform/dashboards/scrape-targets",
        "refresh_interval": "10s",
        "authorization": {"type": "Bearer", "credentials_file": "ml-platform-token"},
    }
    return {"scrape_configs": [{"job_name": "ml-platform", "scrape_interval": "15s", "http_sd_configs": [found]}]}


def _text(document: Any) -> str:
    """Write a document as JSON, which is YAML too."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
