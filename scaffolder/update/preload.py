"""Loads what every worker needs; imported once, by the process that workers are forked from."""

import copier
import git

import scaffolder.update.engine

__all__ = ["copier", "git", "scaffolder"]
