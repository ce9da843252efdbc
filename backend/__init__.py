"""The backend of the ``ml-platform`` Backstage plugin: one FastAPI app, one sub-package per domain."""
