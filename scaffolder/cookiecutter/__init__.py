"""Cookiecutter templates: scaffold from one as it is, or convert it into a Copier template.

:mod:`.convert` reads a template and writes a Copier template that renders the same bytes; what has no counterpart is reported
with file, line and what to do. Hooks are read, never run. :mod:`.render` makes a project with Cookiecutter itself, in a
process of its own with limits. Importing this package costs nothing.
"""
