"""Runs submissions in processes of their own; everything they say is judged elsewhere."""

from grader.sandbox.judge.sandbox import Sandbox, SandboxRun, default_sandbox
from grader.sandbox.limits import SandboxLimits

__all__ = ["Sandbox", "SandboxLimits", "SandboxRun", "default_sandbox"]
