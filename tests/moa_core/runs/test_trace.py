"""The trace as a table and as JSON: one row per call, in the order the calls began."""

import json

from moa_core import RunFailed, Trace
from moa_core.errors import ServerFailed
from moa_core.runs.trace import COLUMNS


def test_one_row_per_call_with_counts_and_times(play, moa, cloud):
    last = play(moa(["say:one two", "status:404"], summarizer="say:all"), "hi", cloud())[-1]

    frame = last.trace.to_dataframe()

    assert list(frame.columns) == list(COLUMNS)
    assert list(frame["agent"]) == ["a1", "a2", "Summarizer"]
    assert list(frame["layer"]) == [1, 1, 2]
    assert list(frame["role"]) == ["agent", "agent", "summarizer"]
    assert set(frame["provider"]) == {"server"}
    first, failed, _ = frame.itertuples()
    assert (first.prompt_tokens, first.cached_tokens, first.completion_tokens) == (11, 5, 7)
    assert 0 <= first.start_s <= first.first_token_s <= first.end_s <= last.trace.total_s
    assert "404" in failed.error
    assert frame["completion_tokens"].isna().tolist() == [False, True, False]
    assert frame["first_token_s"].isna().tolist() == [False, True, False]


def test_layers_follow_one_another_in_time(play, moa, cloud):
    frame = play(moa(["say:a", "say:b"], ["say:c"], summarizer="say:d"), "hi", cloud())[
        -1
    ].trace.to_dataframe()

    ends, starts = frame.groupby("layer")["end_s"].max(), frame.groupby("layer")["start_s"].min()

    assert (starts.loc[[2, 3]].to_numpy() >= ends.loc[[1, 2]].to_numpy()).all()


def test_raw_reports_of_the_server_are_kept(play, moa, cloud):
    (call,) = play(moa(summarizer="say:x"), "hi", cloud())[-1].trace.calls

    assert call.raw["time_info"]["completion_time"] == 0.003
    assert call.raw["usage"]["completion_tokens"] == 7
    assert call.timing is None


def test_a_call_keeps_the_messages_it_was_sent(play, moa, cloud):
    draft, final = play(moa(["say:a draft"], summarizer="echo"), "hi", cloud())[-1].trace.calls

    assert [message["role"] for message in draft.messages] == ["user"]
    assert "a draft" in final.messages[0]["content"]  # in the system prompt
    assert final.messages[-1]["content"] == final.text == "hi"


def test_attempts_are_counted(play, moa, cloud):
    (call,) = play(moa(summarizer="flaky:500:2"), "hi", cloud())[-1].trace.calls

    assert call.attempts == 3


def test_trace_of_a_failed_run_has_its_calls(play, moa, scripted):
    last = play(moa(["m"]), "hi", scripted({"m": ServerFailed("down"), "sum": "s"}))[-1]

    assert isinstance(last, RunFailed)
    assert [call.error for call in last.trace.calls] == ["down"]


def test_partial_text_of_a_broken_stream_is_kept_apart(play, moa, cloud):
    last = play(moa(["drop:2", "say:x"], summarizer="say:s"), "hi", cloud())[-1]

    broken = last.trace.calls[0]
    assert broken.text == "part0 part1 "
    assert "incomplete" in broken.error


def test_trace_is_json(play, moa, cloud):
    data = json.loads(json.dumps(play(moa(["say:x"], summarizer="say:s"), "hi", cloud())[-1].trace.to_dict()))

    assert [call["text"] for call in data["calls"]] == ["x", "s"]
    assert data["calls"][0]["raw"]["usage"]["prompt_tokens"] == 11


def test_empty_trace_has_all_columns():
    assert list(Trace((), 0.0).to_dataframe().columns) == list(COLUMNS)
