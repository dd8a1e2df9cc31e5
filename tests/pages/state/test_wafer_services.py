"""Published speeds beside the model's: a date and a source each, and a reading that the numbers bear."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from pages.state.wafer_services import compared, published_for, service_rows
from wse_backend.wafer.published import SERVICE_SPEEDS
from wse_backend.wafer.shapes import PRESETS


def test_every_row_has_a_date_a_source_and_a_known_shape() -> None:
    assert len(SERVICE_SPEEDS) >= 15
    for speed in SERVICE_SPEEDS:
        assert re.fullmatch(r"20\d\d(-\d\d)?", speed.when), speed
        assert speed.source, speed
        assert not speed.preset or speed.preset in PRESETS, speed


def test_readings_follow_from_the_numbers() -> None:
    for row in compared():
        if row.plain is None:
            assert "no prediction" in row.reading
        elif row.speed.tokens_per_s < row.plain.low:
            assert row.reading.startswith("slower")
        elif row.speed.tokens_per_s > row.plain.high:
            assert row.reading.startswith("faster")
            assert row.acceptance is None or 0 < row.acceptance <= 1
    assert len(service_rows()) == len(SERVICE_SPEEDS)


def test_models_with_the_same_layers_share_their_published_speeds() -> None:
    assert published_for(PRESETS["llama3-8b"]) == published_for(PRESETS["llama3.1-8b"])
    assert {speed.tokens_per_s for speed in published_for(PRESETS["llama3.3-70b"])} == {450, 2148, 2314}
    assert published_for(PRESETS["smollm2-135m"]) == []


def test_evidence_file_of_published_speeds_is_in_the_table() -> None:
    path = Path(__file__).resolve().parents[3] / "bench" / "data" / "published_service_speeds.csv"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    known = {(speed.provider, speed.model, speed.tokens_per_s) for speed in SERVICE_SPEEDS}
    rows = list(csv.DictReader(lines))
    assert rows
    missing = [
        row for row in rows if (row["provider"], row["model"], float(row["tokens_per_s"])) not in known
    ]
    assert missing == []
