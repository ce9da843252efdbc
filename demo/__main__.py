"""Tell the platform's story on real data, with the commands an engineer would type; leave the platform up."""

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from demo.shell import DemoError
from demo.story import Story

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Run the demo; 0 when the story ended as it should, 1 with the reason otherwise."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("ML_PLATFORM_HOME", ROOT / ".mlplatform")))
    parser.add_argument(
        "--config", type=Path, action="append", default=[], help="one more configuration file, the last one wins"
    )
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second during the rollouts")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    configs = [ROOT / "app-config.yaml", ROOT / "demo" / "app-config.demo.yaml", *arguments.config]
    story = Story(home=arguments.home.resolve(), configs=configs, rate=arguments.rate, console=console)
    try:
        story.tell()
    except DemoError as fault:
        console.print(f"\n[bold red]The story stopped:[/bold red] {fault}", markup=True)
        console.print(f"What was started is still up; logs are in {arguments.home}/logs. `make down` stops it.")
        return 1
    except KeyboardInterrupt:
        console.print("\nInterrupted; `make down` stops what was started.")
        return 130
    finally:
        story.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
