"""What is derived from ``model.yaml``: API documents, objectives, alerts, dashboards and manifests.

The sources are the Jinja files in ``files/``; their only input is ``spec``, the document of ``model.yaml`` with every
default filled in. Two doors render them: ``platform generate`` in a model repository, and Copier where a repository is made
or updated (a template release carries the same sources).
"""
