"""``model.yaml``: what a model repository declares, as pydantic models with a published JSON Schema."""
