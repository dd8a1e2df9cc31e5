"""What the agents are asked in a challenge; plain text, knows nothing of Streamlit."""

from __future__ import annotations

from grader.grading.challenge import Challenge


def challenge_request(challenge: Challenge) -> str:
    """The brief, the faulty baseline, and the form the answer must have."""
    return (
        f"{challenge.brief.strip()}\n\n"
        f"This first attempt has bugs:\n\n```python\n{challenge.baseline.strip()}\n```\n\n"
        f"Write a correct `{challenge.signature}`. "
        "Answer with the complete function in one Python code block."
    )
