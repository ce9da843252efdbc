"""Whether Ray works on this machine at all."""

import subprocess
import sys
from functools import cache

import pytest

_PROGRAM = """
import logging, ray
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)

@ray.remote
class Six:
    def times(self, number): return 6 * number

print(ray.get(Six.remote().times.remote(7), timeout=60))
ray.shutdown()
"""


def needs_ray() -> None:
    """Leave a test out where Ray by itself, without any code of ours, can't run an actor in time."""
    if (why := _trouble()) is not None:
        pytest.skip(f"Ray alone can't run an actor here: {why}")


@cache
def _trouble() -> str | None:
    pytest.importorskip("ray")
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=90, check=False
        )
    except subprocess.TimeoutExpired:
        return "it takes longer than 90 s"
    return None if done.stdout.strip() == "42" else done.stderr.strip()[-300:]
