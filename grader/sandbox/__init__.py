"""Runs submissions in processes of their own; everything they say is judged elsewhere."""

from grader.sandbox.judge.client import Run, Sandbox, default_sandbox
from grader.sandbox.limits import Limits

__all__ = ["Limits", "Run", "Sandbox", "default_sandbox"]
