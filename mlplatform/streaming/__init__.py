"""The worker of a streaming model: the model server's process with a consumer beside its HTTP door."""
