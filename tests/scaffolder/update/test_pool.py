"""Many updates at once: the same results, and one that hangs or dies costs no other."""

import os

import pytest

from scaffolder.update import EngineOptions, Outcome, Request, Update, UpdatePool
from scaffolder.update.errors import Downgrade, UpdateError, WorkerLost

from .conftest import Lab, git

pytestmark = pytest.mark.slow


def options(lab: Lab) -> EngineOptions:
    return EngineOptions(lab.template, lab.folder / "cache")


def test_results_are_those_of_the_engine_and_errors_stay_with_their_request(lab: Lab) -> None:
    for tag in ("v1", "v2", "v3"):
        lab.release(tag, {"a": f"{tag}\n"})
    lab.start("v2")
    good = Request(str(lab.repository), "main", "v3")
    back, gone = Request(str(lab.repository), "main", "v1"), Request(str(lab.folder / "gone"), "main", "v3")
    with UpdatePool(options(lab), workers=2) as pool:
        results = list(pool.update_all([good, back, gone, good, good]))
    assert len(results) == 5
    for request, result in results:
        if request is good:
            assert result == lab.update("v3")
        else:
            assert isinstance(result, UpdateError)
            assert result.fix or request is gone
    assert [type(result) for request, result in results if request is back] == [Downgrade]


def test_a_worker_that_hangs_is_ended(lab: Lab) -> None:
    """The repository's pipe instead of an objects folder makes git wait for ever."""
    lab.release("v1", {"a": "1\n"})
    lab.start()
    lab.release("v2", {"a": "2\n"})
    stuck = lab.folder / "stuck"
    git(lab.folder, "clone", "--quiet", "--bare", str(lab.repository), str(stuck))
    (stuck / "objects" / "info").mkdir(exist_ok=True)
    os.mkfifo(stuck / "objects" / "info" / "alternates")
    requests = [Request(str(stuck), "main", "v2"), Request(str(lab.repository), "main", "v2")]
    with UpdatePool(options(lab), workers=1, timeout=20) as pool:
        results = {request.repository: result for request, result in pool.update_all(requests)}
    assert isinstance(results[str(stuck)], WorkerLost)
    assert "took more than 20 seconds" in str(results[str(stuck)])
    other = results[str(lab.repository)]
    assert isinstance(other, Update)
    assert other.outcome is Outcome.CLEAN
