"""The toolkit of a model repository: ``platform`` command, ``model.yaml``, gates, attestations, model server.

Importing this package costs nothing: everything heavy is imported by the command that needs it.
"""

__version__ = "0.1.0"
