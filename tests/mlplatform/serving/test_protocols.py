"""Both protocols over HTTP, with KServe's own client as an outside judge of v2 and the OpenAPI document as one of all."""

import asyncio

import jsonschema
import numpy as np
import pytest

kserve = pytest.importorskip("kserve")

EXPECTED = [0, 2]
ROWS = (0, 177)


def infer_request(models, **members):
    rows = models("wine").data.iloc[list(ROWS)]
    tensor = {
        "name": "predict",
        "shape": list(rows.shape),
        "datatype": "FP64",
        "data": rows.to_numpy().ravel().tolist(),
    }
    return {"inputs": [tensor], **members}


def test_v2_answer(wine, models):
    response = wine.post("/v2/models/wine/infer", json=infer_request(models, id="42"))
    assert response.json() == {
        "model_name": "wine",
        "model_version": "3",
        "id": "42",
        "outputs": [{"name": "prediction", "shape": [2], "datatype": "INT64", "data": EXPECTED}],
    }
    assert response.headers["x-model-version"] == "3"
    assert response.headers["content-type"] == "application/json"


def test_v2_with_version_and_chosen_output(wine, models):
    request = infer_request(models, outputs=[{"name": "prediction"}])
    assert wine.post("/v2/models/wine/versions/3/infer", json=request).json()["outputs"][0]["data"] == EXPECTED


def test_kserve_client_understands_every_answer(wine_server, models):
    rows = models("wine").data.iloc[list(ROWS)]
    matrix = kserve.InferInput("input-0", list(rows.shape), "FP64")
    matrix.set_data_from_numpy(rows.to_numpy(), binary_data=False)
    columns = []
    for name in rows.columns:
        column = kserve.InferInput(name, [len(rows)], "FP64")
        column.set_data_from_numpy(rows[name].to_numpy(), binary_data=False)
        columns.append(column)

    async def ask():
        config = kserve.RESTConfig(protocol="v2", timeout=20)
        async with kserve.InferenceRESTClient(config) as client:
            assert await client.is_server_live(wine_server.url)
            assert await client.is_server_ready(wine_server.url)
            assert await client.is_model_ready(wine_server.url, "wine")
            answers = []
            for inputs in ([matrix], columns):
                request = kserve.InferRequest("wine", inputs, request_id="abc")
                answers.append(await client.infer(wine_server.url, request, model_name="wine"))
            return answers

    for answer in asyncio.run(ask()):
        assert (answer.id, answer.model_name) == ("abc", "wine")
        np.testing.assert_array_equal(answer.outputs[0].as_numpy(), EXPECTED)


def test_kserve_client_v1(wine_server, models):
    async def ask():
        config = kserve.RESTConfig(protocol="v1", timeout=20)
        async with kserve.InferenceRESTClient(config) as client:
            assert await client.is_server_live(wine_server.url)
            assert await client.is_model_ready(wine_server.url, "wine")
            return await client.infer(wine_server.url, {"instances": models("wine").rows[:1]}, model_name="wine")

    assert asyncio.run(ask()) == {"predictions": [0]}


def test_v1_rows_and_columns(wine, models):
    data = models("wine").data.iloc[list(ROWS)]
    path = "/v1/models/wine:predict"
    assert wine.post(path, json={"instances": [models("wine").rows[row] for row in ROWS]}).json() == {
        "predictions": EXPECTED
    }
    assert wine.post(path, json={"instances": data.to_numpy().tolist()}).json() == {"predictions": EXPECTED}
    assert wine.post(path, json={"inputs": data.to_dict("list")}).json() == {"outputs": EXPECTED}


def test_sagemaker_s_container_contract(wine, models):
    assert wine.get("/ping").json() == {"ready": True, "state": "ready"}
    request = {"instances": models("wine").rows[:1]}
    answer = wine.post("/invocations", json=request)
    assert (answer.status_code, answer.json()) == (200, wine.post("/v1/models/wine:predict", json=request).json())
    assert answer.headers["x-model-version"] == "3"
    assert wine.post("/invocations", json={"instances": [{}]}).status_code == 422
    wrong = wine.get("/invocations")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


def test_metadata(wine, models):
    assert wine.get("/v2").json()["name"] == "mlplatform"
    for path in ("/v2/models/wine", "/v2/models/wine/versions/3"):
        metadata = wine.get(path).json()
        assert (metadata["name"], metadata["versions"], metadata["platform"]) == ("wine", ["3"], "mlflow_pyfunc")
        assert [tensor["name"] for tensor in metadata["inputs"]] == list(models("wine").data.columns)
        assert metadata["inputs"][0] == {"name": "alcohol", "datatype": "FP64", "shape": [-1]}
        assert metadata["outputs"] == [{"name": "prediction", "datatype": "INT64", "shape": [-1]}]
    assert wine.get("/v1/models").json() == {"models": ["wine"]}
    assert wine.get("/healthz").json() == {"status": "ok", "state": "ready"}


def test_openapi_tells_the_truth(wine, models):
    document = wine.get("/openapi.json").json()
    row = document["components"]["schemas"]["Row"]
    assert row["properties"]["alcohol"] == {"type": "number", "format": "double", "minimum": 0, "maximum": 30}
    assert sorted(row["required"]) == sorted(models("wine").data.columns)

    def schema(name):
        return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}

    requests = {"v2": infer_request(models, id="1"), "v1": {"instances": models("wine").rows[:2]}}
    paths = {"v2": ("/v2/models/wine/infer", "Infer"), "v1": ("/v1/models/wine:predict", "Predict")}
    for protocol, request in requests.items():
        path, name = paths[protocol]
        jsonschema.validate(request, schema(f"{name}Request"), cls=jsonschema.Draft202012Validator)
        answer = wine.post(path, json=request)
        jsonschema.validate(answer.json(), schema(f"{name}Response"), cls=jsonschema.Draft202012Validator)
        problem = wine.post(path, json={})
        jsonschema.validate(problem.json(), schema("Problem"), cls=jsonschema.Draft202012Validator)
    for path, methods in document["paths"].items():
        if "get" in methods:
            assert wine.get(path).status_code == 200, path


def test_every_path_that_answers_is_in_the_openapi_document(wine):
    from mlplatform.serving.app import Identity, ServingApp
    from mlplatform.serving.metrics import Metrics
    from mlplatform.spec.model import Serving

    app = ServingApp(Identity("wine", "3", "test", "0"), Serving(), Metrics("wine", "3", "test"), b"")
    aliases = {
        "/",
        "/openapi.json",
        "/v1/models",
        "/v1/models/wine",
        "/v2/models/wine/versions/3",
        "/v2/models/wine/versions/3/ready",
    }
    aliases.add("/v1/models/wine/versions/3:predict")
    assert {*app._pages, *app._predictions} - aliases == set(wine.get("/openapi.json").json()["paths"])


def test_metrics(wine, models):
    def count(code):
        name = f'model_server_requests_total{{code="{code}",environment="test",model="wine",protocol="v2",version="3"}}'
        lines = [line for line in wine.get("/metrics").text.splitlines() if line.startswith(name)]
        return float(lines[0].split()[-1]) if lines else 0.0

    fine, refused = count(200), count(422)
    wine.post("/v2/models/wine/infer", json=infer_request(models))
    wine.post("/v2/models/wine/infer", json={"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1]}]})
    assert (count(200) - fine, count(422) - refused) == (1, 1)
    assert "model_server_ready{" in wine.get("/metrics").text


def test_parameters_reach_a_model_that_has_them(start, scripted):
    import httpx

    saved = scripted(
        "def predict(self, context, model_input, params=None):\n    return model_input['x'] * params['factor']"
    )
    server = start(saved).ready()

    def ask(**members):
        inputs = [{"name": "x", "shape": [1], "datatype": "FP64", "data": [2.0]}]
        return httpx.post(server.infer_url, json={"inputs": inputs, **members})

    assert ask().json()["outputs"][0]["data"] == [2.0]
    assert ask(parameters={"factor": 10}).json()["outputs"][0]["data"] == [20.0]
    assert ask(parameters={"factor": "10"}).status_code == 422
    assert ask(parameters={"unknown": 1}).json()["outputs"][0]["data"] == [2.0]
    assert ask(parameters=[]).status_code == 400
