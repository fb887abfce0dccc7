"""How a comparison names the settings that forecast alike."""

from __future__ import annotations

import pytest

from crypto_refactor.report.comparison_notes import distinction


@pytest.mark.parametrize(
    ("labels", "others", "text"),
    [
        (
            ["lookback=24, train-hours=1000", "lookback=60, train-hours=1000"],
            ["lookback=24, train-hours=2160"],
            "train-hours=1000",
        ),
        (["seed=0", "seed=1"], ["seed=2"], "seed=0; seed=1"),
        (["a=1, b=1", "a=1, b=2"], ["a=1, b=3"], "a=1, b=1; a=1, b=2"),
        (["exit=fade"], ["exit=neutral"], "exit=fade"),
    ],
)
def test_what_settings_share_and_no_other_has_names_them(labels, others, text):
    assert distinction(labels, others) == text
