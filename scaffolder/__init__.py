"""Model repositories from templates: release a template, render it, give the result a place on a git host.

Importing this package costs nothing; Copier, GitPython and uv are loaded by the functions that use them.
"""
