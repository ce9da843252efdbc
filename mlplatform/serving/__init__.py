"""The model server: one process that answers for one version of one model.

``python -m mlplatform.serving --model-dir DIR --spec model.yaml --name NAME --version N ...`` speaks the Open Inference
Protocol v2 and the v1 ``:predict`` protocol, holds every request against ``model.yaml``, and batches whatever has queued up
while the model was busy. Importing this package costs nothing; numpy and MLflow come in after the thread counts are set.
"""
