"""Batch models: score a day's partition of a data lake, replace its answers as a whole, and know when nothing has changed.

``python -m mlplatform.batch`` is what the platform runs for each day, in the model version's own environment, and what
``platform batch score`` runs at home. Beside the answers lies a manifest (:mod:`mlplatform.batch.manifest`) that says which
version made them from which input; :mod:`mlplatform.batch.lake` says how the two are kept together.
"""
