"""Stop strings in a stream, however the stream is cut."""

from hypothesis import given
from hypothesis import strategies as st

from wse_backend.engine.stop_text import StopFilter

letters = st.text("ab", max_size=30)


@given(st.lists(letters, max_size=12), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_the_shown_text_ends_where_the_first_stop_begins(pieces: list[str], stops: list[str]) -> None:
    whole, shown, seen = "".join(pieces), "", ""
    stop_filter = StopFilter(stops)
    for piece in pieces:
        seen += piece
        shown += stop_filter.feed(piece)
        if stop_filter.is_stopped:
            break
    shown += stop_filter.flush()
    # A stream stops with the piece that completes a stop; of what was seen by then the earliest counts.
    places = [seen.find(stop) for stop in stops if stop in seen]
    assert stop_filter.is_stopped == any(stop in whole for stop in stops)
    assert shown == (seen[: min(places)] if places else whole)


def test_only_a_possible_beginning_is_held_back() -> None:
    stop_filter = StopFilter(["###"])
    assert stop_filter.feed("one #") == "one "
    assert stop_filter.feed("# two #") == "## two "
    assert stop_filter.flush() == "#"
