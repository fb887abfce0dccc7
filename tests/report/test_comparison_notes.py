"""What a comparison says of its settings and of its best trial."""

from __future__ import annotations

import pytest

from crypto_refactor.backtest.significance.sharpe import SelectionBias
from crypto_refactor.report.comparison_notes import distinction
from crypto_refactor.report.verdict_lines import beats_chance, selection_bias_text


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


@pytest.mark.parametrize(
    ("best", "deflated", "text", "beats"),
    [
        (
            4.53,
            0.57,
            "the best of so many would reach 3.91 by chance. The lead is too small: deflated Sharpe ratio 0.57",
            False,
        ),
        (9.53, 0.97, "The lead is clear: deflated Sharpe ratio 0.97, at least 0.95 needed.", True),
        (2.0, 0.2, "There is no lead: deflated Sharpe ratio 0.20", False),
        (
            -1.0,
            0.01,
            "Every trial that traded lost; the highest Sharpe ratio is -1.00 (BTC/USD). The best",
            False,
        ),
        (4.53, None, "The lead is too small: deflated Sharpe ratio –", False),
    ],
)
def test_the_lead_of_the_best_trial_is_named_as_the_deflated_sharpe_ratio_has_it(best, deflated, text, beats):
    bias = SelectionBias(
        trials=13,
        trials_with_sharpe=12,
        earlier=None,
        earlier_with_sharpe=None,
        best_sharpe=best,
        expected_best_sharpe=3.91,
        deflated_sharpe=deflated,
    )
    shown = selection_bias_text(bias, "BTC/USD", 1)
    assert shown.startswith("13 trials (1 never traded). ")
    assert text in shown
    assert beats_chance(bias) is beats
