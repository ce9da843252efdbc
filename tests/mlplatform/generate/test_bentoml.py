"""The BentoML service, run for real in an environment of its own with a real MLflow model."""

import os
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest
from uv import find_uv_bin

from mlplatform.generate.render import render
from tests.mlplatform.generate.specs import as_spec, minimal
from tests.ports import free_ports

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    import mlflow.sklearn
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    repository = tmp_path_factory.mktemp("bento")
    rows = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})
    model = LogisticRegression().fit(rows, [0, 0, 1, 1])
    signature = infer_signature(rows, pd.DataFrame({"y": model.predict(rows)}))
    mlflow.sklearn.save_model(
        model, str(repository / "build" / "model"), signature=signature, pip_requirements=["scikit-learn", "skops"]
    )
    spec = as_spec(minimal(serving={"target": "bentoml", "maxBatchSize": 2}))
    for path, text in render(spec).items():
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text(text, encoding="utf-8")
    (port,) = free_ports(1)
    environment = {key: value for key, value in os.environ.items() if key not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    environment |= {"BENTOML_HOME": str(repository / "home"), "BENTOML_DO_NOT_TRACK": "true", "MODEL_VERSION": "7"}
    command = [
        find_uv_bin(), "run", "--quiet", "--project", "deploy/bentoml", "--with-requirements", "build/model/requirements.txt",
        "bentoml", "serve", "deploy/bentoml/service.py:Model", "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    log = repository / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=repository, env=environment, stdout=stream, stderr=stream)
    try:
        base = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 240
        while True:
            try:
                if httpx.get(f"{base}/readyz").status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield base
    finally:
        process.terminate()
        process.wait(30)


def test_it_answers_counts_and_refuses(url: str) -> None:
    path = f"{url}/v1/models/churn:predict"
    answer = httpx.post(path, json={"instances": [{"x": 0.0}, {"x": 3.0}]}, timeout=30)
    assert (answer.status_code, answer.json()) == (200, {"predictions": [0, 1]})
    secret = httpx.post(path, json={"instances": [{"z": "jo@example.com"}]}, timeout=30)
    assert secret.status_code == 400
    assert "do not fit the model's columns: x" in secret.text
    assert "jo@example.com" not in secret.text
    assert httpx.post(path, json={"instances": [{"x": 1.0}] * 3}, timeout=30).status_code == 400
    metrics = httpx.get(f"{url}/metrics", timeout=30).text
    labels = 'environment="local",model="churn",protocol="v1",version="7"'
    assert f'model_server_requests_total{{code="200",{labels}}} 1.0' in metrics
    assert f'model_server_requests_total{{code="400",{labels}}} 2.0' in metrics
    assert 'model_server_ready{environment="local",model="churn",version="7"} 1.0' in metrics
