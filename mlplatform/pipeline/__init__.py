"""The stages of the golden path, from ``model.yaml`` to a deployment; each works on the repository's ``build/`` folder."""
