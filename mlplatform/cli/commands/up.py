"""``platform up`` and ``platform down``."""

import os
from pathlib import Path

import click

from mlplatform.cli import options, output, rooms


@options.command(
    "Start the platform on this machine: backend, MLflow, Envoy and Backstage. A second `up` starts whatever is down.",
    examples=["platform up", "platform up --config app-config.yaml --config app-config.production.yaml"],
)
@options.configs_option(
    "Configuration file; several are merged in order. Default: app-config.yaml and app-config.local.yaml here."
)
@click.option("--wait/--no-wait", default=True, help="Wait until it answers.")
@click.option("--portal/--no-portal", default=True, help="Also Backstage, where the configuration has it.")
def up(configs: tuple[Path, ...], wait: bool, portal: bool, as_json: bool) -> None:
    """Start it and print where it is."""
    launcher, chosen = rooms.launcher(), rooms.configuration(configs)
    home = launcher.home_of(os.environ.get("ML_PLATFORM_HOME"), chosen)
    result = launcher.up(home=home, configs=chosen, wait=wait, with_portal=portal, echo=output.say)

    def human() -> None:
        for name, url in result.urls.items():
            output.write(f"{name:<10} {url}")

    output.result({"urls": result.urls, "pids": result.pids, "home": str(home)}, as_json=as_json, human=human)


@options.command(
    "Stop the platform on this machine, with all model servers.",
    examples=["platform down", "platform down --forget"],
)
@options.configs_option("The configuration that it was started with, where that names its home folder.")
@click.option("--forget", is_flag=True, help="Also delete all of its state.")
def down(configs: tuple[Path, ...], forget: bool, as_json: bool) -> None:
    """Stop it."""
    launcher = rooms.launcher()
    home = launcher.home_of(os.environ.get("ML_PLATFORM_HOME"), rooms.configuration(configs))
    launcher.down(home=home, forget=forget, echo=output.say)
    words = "stopped, and its state deleted" if forget else "stopped"
    document = {"stopped": True, "forgotten": forget, "home": str(home)}
    output.result(document, as_json=as_json, human=lambda: output.write(f"the platform is {words}"))
