"""The model server beside its peers: KServe's SDK, MLServer and ``mlflow models serve``."""
