"""Durable work: workflows that go on where they were, whatever was killed."""

from backend.core.workflows.runtime import RuntimeStopping, Steps, Work, WorkflowRuntime

__all__ = ["RuntimeStopping", "Steps", "Work", "WorkflowRuntime"]
