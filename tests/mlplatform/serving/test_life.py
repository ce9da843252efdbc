"""From start to stop: what a server says and does when its model is bad, slow or taken away from it."""

import json
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

FINE = "def predict(self, context, model_input, params=None):\n    return model_input['x'] * 2"
SLEEPS = """
def predict(self, context, model_input, params=None):
    time.sleep(float(model_input['x'].max()))
    return model_input['x']
"""


def x_request(*values: float) -> dict:
    return {"inputs": [{"name": "x", "shape": [len(values)], "datatype": "FP64", "data": list(values)}]}


def failure(server) -> str:
    """The last line of a server that must not come up."""
    assert server.process.wait(timeout=60) == 1
    last = server.lines[-1]
    assert last.startswith("error: can't serve scripted version 3: ")
    return last


def test_a_model_that_crashes_on_load(start, scripted):
    server = start(
        scripted("def load_context(self, context):\n    raise RuntimeError('no weights for ada@example.com\\nat all')")
    )
    assert failure(server).endswith("loading the model failed: RuntimeError: no weights for [REDACTED:EMAIL] at all")
    (event,) = [event for event in server.events if event["message"] == "loading the model failed"]
    assert "load_context" in event["exception"]
    assert "ada@example" not in server.log.read_text()


def test_a_model_that_exits_on_load(start, scripted):
    server = start(scripted("def load_context(self, context):\n    sys.exit(0)"))
    assert failure(server).endswith("loading the model failed: SystemExit: 0")


def test_a_model_that_never_gets_ready(start, scripted):
    server = start(scripted("def load_context(self, context):\n    time.sleep(600)", serving={"startupTimeout": "4s"}))
    assert httpx.get(f"{server.url}/v2/health/live").json() == {"live": True}
    ready = httpx.get(f"{server.url}/v2/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"ready": False, "state": "loading"})
    assert httpx.get(f"{server.url}/ping").status_code == 503
    refused = httpx.post(server.infer_url, json=x_request(1))
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:ml-platform:problem:not-ready")
    assert failure(server).endswith("the model was not ready within 4 s (serving.startupTimeout)")


def test_a_model_that_answers_nan_to_its_own_example(start, scripted):
    server = start(
        scripted("def predict(self, context, model_input, params=None):\n    return model_input['x'] * np.nan")
    )
    assert failure(server).endswith(
        "the model does not answer its own input example: The model's output y is not a finite number."
    )


def test_a_missing_model_and_a_bad_spec(start, scripted, tmp_path):
    saved = scripted(FINE)
    (saved.folder / "MLmodel").unlink()
    assert failure(start(saved)).endswith("model holds no MLmodel file, so it is not an MLflow model")
    saved.spec.write_text(saved.spec.read_text().replace('"costCentre"', '"costCenter"'))
    assert "did you mean `costCentre`?" in failure(start(saved))
    saved.spec.unlink()
    assert failure(start(saved))


def test_a_port_that_is_taken(start, scripted):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = start(scripted(FINE), port=port)
        assert failure(server).endswith(
            f"can't listen on 127.0.0.1:{port}: Address already in use; give another --port"
        )


def test_sigterm_while_loading(start, scripted):
    server = start(scripted("def load_context(self, context):\n    time.sleep(600)"))
    server.event("listening")
    time.sleep(0.5)
    assert server.stop() == 0


def test_nan_and_errors_in_service_are_500_and_nothing_more(start, scripted):
    body = """
    def predict(self, context, model_input, params=None):
        print("looking at", "ada@example.com")
        if (model_input['x'] == 7).any():
            raise ValueError("card 4111 1111 1111 1111 was refused")
        return model_input['x'].where(model_input['x'] > 0)
    """
    server = start(scripted(body)).ready()
    with httpx.Client() as client:
        invalid = client.post(server.infer_url, json=x_request(-1))
        assert (invalid.status_code, invalid.json()["type"]) == (500, "urn:ml-platform:problem:model-output-invalid")
        assert (invalid.json()["output"], "NaN" in invalid.text) == ("y", False)
        failed = client.post(server.infer_url, json=x_request(7))
        assert (failed.status_code, failed.json()["type"]) == (500, "urn:ml-platform:problem:model-failed")
        assert client.post(server.infer_url, json=x_request(3)).json()["outputs"][0]["data"] == [3.0]
    event = server.event("the model failed")
    assert event["instance"] == failed.json()["instance"]
    assert (event["model"], event["version"], event["environment"]) == ("scripted", "3", "test")
    log = server.log.read_text()
    assert "ada@" not in log
    assert "4111" not in log
    assert "looking at [REDACTED:EMAIL]" in log
    assert all(json.loads(line) for line in server.lines)


def test_a_slow_model_keeps_health_quick_and_times_out(start, scripted):
    server = start(scripted(SLEEPS, example=0.05, serving={"requestTimeout": "1s"})).ready()
    assert server.event("ready")["threaded"] is True
    url = server.infer_url
    with ThreadPoolExecutor() as pool, httpx.Client() as client:
        slow = pool.submit(httpx.post, url, json=x_request(2.5))
        time.sleep(0.3)  # the slow one must be first: the other would be answered at once
        waits = pool.submit(httpx.post, url, json=x_request(0.001))
        began = time.monotonic()
        for _ in range(20):
            assert client.get(f"{server.url}/v2/health/ready").status_code == 200
        assert (time.monotonic() - began) / 20 < 0.25
        for request in (slow, waits):
            answer = request.result(timeout=10)
            assert (answer.status_code, answer.json()["type"]) == (504, "urn:ml-platform:problem:model-timeout")
        time.sleep(1.8)
        assert client.post(url, json=x_request(0.001)).status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drain_answers_what_runs_and_refuses_what_comes(start, scripted, number):
    server = start(scripted(SLEEPS, example=0.05, serving={"requestTimeout": "20s"})).ready()
    url, base = server.infer_url, server.url
    answers = []
    running = [
        threading.Thread(target=lambda: answers.append(httpx.post(url, json=x_request(1.5), timeout=20)))
        for _ in range(3)
    ]
    for thread in running:
        thread.start()
    time.sleep(0.5)
    server.process.send_signal(number)
    server.event("draining")
    ready = httpx.get(f"{base}/v2/health/ready")
    assert (ready.status_code, ready.json()["state"]) == (503, "draining")
    refused = httpx.post(url, json=x_request(1))
    assert (refused.status_code, refused.headers["connection"]) == (503, "close")
    for thread in running:
        thread.join()
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert server.process.wait(timeout=10) == 0
    assert server.event("drained")


def test_drain_does_not_wait_for_ever(start, scripted):
    server = start(scripted(SLEEPS, example=0.05, serving={"requestTimeout": "60s", "drainTimeout": "1s"})).ready()
    url = server.infer_url
    with ThreadPoolExecutor() as pool:
        hanging = pool.submit(httpx.post, url, json=x_request(50), timeout=60)
        time.sleep(0.5)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 8
        assert hanging.result().json()["type"] == "urn:ml-platform:problem:not-ready"


def test_threads_are_those_of_the_resources(start, scripted):
    body = """
    def predict(self, context, model_input, params=None):
        return model_input['x'] * 0 + float(os.environ['OMP_NUM_THREADS'])
    """
    server = start(scripted(body, serving={"resources": {"cpu": "2500m"}})).ready()
    assert httpx.post(server.infer_url, json=x_request(1)).json()["outputs"][0]["data"] == [2.0]
