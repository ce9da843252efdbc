"""Attestations: in-toto statements about a model artefact's digest in signed DSSE envelopes."""
