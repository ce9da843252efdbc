"""Models and their versions, with lineage, on top of MLflow."""
