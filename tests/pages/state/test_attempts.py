"""An attempt from its answer to what a round stores of it."""

from grader import challenge
from grader.errors import SandboxFailed
from moa_core import CallRecord, MoAConfig, Trace
from pages.state.attempts import Attempt
from pages.state.turn import Turn

REPLY = "```python\ndef calculate_user_metrics(users, start_date, end_date):\n    return None\n```"


def ended(reply: str) -> Attempt:
    call = CallRecord(2, "Summarizer", 0, "summarizer", "wafer", "m", 0.0, 1.5, 0.2, 10, 0, 20)
    turn = Turn("Write it", answer=reply, state="done", trace=Trace((call,), 1.5))
    attempt = Attempt(1, "user_metrics", turn)
    attempt.seeded(MoAConfig.default(), [{"role": "user", "content": "Write it"}])
    return attempt


def test_a_graded_attempt_is_what_a_round_stores() -> None:
    attempt = ended(REPLY)
    attempt.grade(challenge("user_metrics"))
    stored = attempt.generation().to_columns()

    assert attempt.report is not None
    assert stored["code"].startswith("def calculate_user_metrics")
    assert stored["generation_seed"] == attempt.seed
    assert MoAConfig.from_json(stored["config"]) == MoAConfig.default()
    assert (stored["tokens"], stored["prompt_tokens"], stored["n_calls"]) == (20, 10, 1)
    assert (stored["duration_ms"], stored["backend"], stored["models"]) == (1500, "wafer", '["m"]')


def test_an_answer_without_code_has_a_reason_and_no_report() -> None:
    attempt = ended("I cannot help with that.")
    attempt.grade(challenge("user_metrics"))
    assert (attempt.code, attempt.report) == ("", None)
    assert "no code" in attempt.reason


def test_a_grader_that_fails_leaves_the_code_and_says_so(monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise SandboxFailed("start", "no process")

    monkeypatch.setattr("pages.state.attempts.read_and_grade", broken)
    attempt = ended(REPLY)
    attempt.grade(challenge("user_metrics"))
    assert attempt.report is None
    assert attempt.code.startswith("def calculate_user_metrics")
    assert attempt.reason.startswith("The grader itself failed")
