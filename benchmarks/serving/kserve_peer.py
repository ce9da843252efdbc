"""KServe's SDK as its documentation shows it: a ``Model`` in a ``ModelServer``."""

import sys

import joblib
import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class Tumours(Model):
    def __init__(self, path: str) -> None:
        super().__init__("tumours")
        self.estimator = joblib.load(path)
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        if isinstance(payload, InferRequest):
            answer = self.estimator.predict(payload.inputs[0].as_numpy())
            output = InferOutput(name="prediction", shape=list(answer.shape), datatype="INT64", data=answer.tolist())
            return InferResponse(response_id=payload.id or "", model_name=self.name, infer_outputs=[output])
        return {"predictions": self.estimator.predict(np.array(payload["instances"])).tolist()}


if __name__ == "__main__":
    ModelServer(http_port=int(sys.argv[2]), workers=1, enable_grpc=False, access_log_format=None).start(
        [Tumours(sys.argv[1])]
    )
