"""Certificates: what stands on them, that names stay text, and that all fit into one file."""

from __future__ import annotations

import io
import time
import zipfile
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from grader.competition import BoardRow, Final, Participant, Round, Standing
from pages.state.certificate import RoundOutcome, certificates, to_html, to_zip

AT_MS = 1_800_000_000_000  # 08:00 UTC on 15 January 2027
ROUND = Round(1, "ab" * 16, "Monday", "user_metrics", 5, 1, AT_MS, None, 0, "everyone", 1, None, False)
ADA = Participant(7, 1, 1, "Ada", 1, None, None)
BLUE = Participant(8, 1, 2, "Blue", 1, None, None, "Bob")
FINAL = Final(3, 1, (11, 12, 13, 14, 15), "done", None, None, None, 1, AT_MS, 1)
FIRST = Standing(1, 8, 2, "Blue", 4, 75.0, 70.24, 79.76, 900.0, (75,) * 5, 0)
SECOND = replace(FIRST, place=2, participant_id=7, number=1, nickname="Ada", low=None, high=None)
HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(2)>&\"'"


class Tags(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def of_final(*people: Participant) -> dict[int, str]:
    made = certificates(
        ROUND, "User metrics", 120, people, {8: ["Cat"]}, RoundOutcome((), FINAL, (FIRST, SECOND))
    )
    return {who: to_html(each) for who, each in made.items()}


def test_a_certificate_says_place_mean_interval_and_people() -> None:
    text = " ".join(Tags(of_final(BLUE)[8]).text.split())
    assert "place 1 of 2, a mean of 75.0 of 120 points (95 % interval 70.2 to 79.8)" in text
    assert "5 seeds" in text
    assert "Blue Bob, Cat took part in Monday with the challenge User metrics" in text


def test_without_a_final_the_board_ranks_and_who_has_no_place_has_none() -> None:
    row = BoardRow(1, 7, 1, "Ada", 60.0, 60.0, 100, 1, 4, 2)
    made = certificates(ROUND, "User metrics", 120, (ADA, BLUE), {}, RoundOutcome((row,)))
    assert list(made) == [7]
    assert (made[7].result, made[7].how) == ("60 of 120 points", "on the board of best scores")


@pytest.mark.parametrize(
    ("zone", "day"), [("Pacific/Auckland", "15 January 2027"), ("Pacific/Honolulu", "14 January 2027")]
)
def test_the_date_is_the_servers(zone: str, day: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """13 hours ahead of UTC it is still the 15th; 10 hours behind it is not the 15th yet."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert day in Tags(of_final(ADA)[7]).text
    finally:
        monkeypatch.undo()
        time.tzset()


def test_names_and_titles_are_text_and_nothing_on_the_page_can_run() -> None:
    found = replace(ROUND, title=HOSTILE)
    who = replace(BLUE, nickname=HOSTILE, person=HOSTILE)
    made = certificates(found, HOSTILE, 120, (who,), {8: [HOSTILE]}, RoundOutcome((), FINAL, (FIRST,)))
    page = Tags(to_html(made[8]))
    assert {"script", "img"} & set(page.tags) == set()
    assert page.text.count(HOSTILE) == 6
    assert "default-src 'none'" in to_html(made[8])


def test_all_are_in_one_file_under_names_that_every_system_takes() -> None:
    people = (replace(ADA, nickname="../../Ærø / ..\\con?"), replace(BLUE, nickname="模型"))
    made = certificates(ROUND, "User metrics", 120, people, {}, RoundOutcome((), FINAL, (FIRST, SECOND)))
    with zipfile.ZipFile(io.BytesIO(to_zip(list(made.values())))) as archive:
        assert archive.namelist() == ["001.html", "002-r-con.html"]
        assert "模型" in archive.read("001.html").decode()
