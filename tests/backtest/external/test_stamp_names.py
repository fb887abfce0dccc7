"""What the hours of targets from pandas mean, by the name of their index."""

import pandas as pd
import pytest
from support.stub_models import sample_bars

from crypto_refactor import evaluate
from crypto_refactor.backtest.external.target_file import Stamped
from crypto_refactor.backtest.external.target_frame import targets_of_frame
from crypto_refactor.errors import DataError, UsageError


def targets(name):
    hours = pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC", name=name)
    return pd.Series([0, 1, 0], index=hours)


@pytest.mark.parametrize("name", ["opened", "timestamp"])
def test_the_hours_of_bars_are_opens_so_that_no_target_knows_the_bar_it_trades(name):
    found = targets_of_frame(targets(name), None)
    assert found.stamped is Stamped.OPEN
    assert found.made_at[0] == targets_of_frame(targets("made_at"), None).made_at[0] + 1
    with pytest.raises(UsageError, match=f"Hours named {name} were said to be closes"):
        targets_of_frame(targets(name), "close")


@pytest.mark.parametrize("name", [None, "Datetime"])
def test_an_index_that_does_not_say_what_it_holds_is_warned_of(name):
    with pytest.warns(UserWarning, match="is taken for the closes of bars") as warned:
        assert evaluate("BTC/USD", bars_long(name), source=sample_bars(400)).targets.stamped is Stamped.CLOSE
    assert warned[0].filename == __file__
    assert evaluate("BTC/USD", bars_long(name), source=sample_bars(400), stamped="close").targets


def test_the_first_open_given_for_a_close_is_answered_with_the_argument_that_says_so():
    bars = sample_bars(400)
    hours = pd.to_datetime(bars.opened * 3600, unit="s", utc=True)
    with pytest.raises(DataError) as caught:
        evaluate("BTC/USD", pd.Series([0, 1] * 200, index=hours), source=bars, stamped="close")
    assert caught.value.remedy.startswith("if the hours are the opens of bars, say stamped='open'; ")


def bars_long(name):
    """Return targets within `sample_bars`."""
    hours = pd.to_datetime(sample_bars(400).closed[-50:] * 3600, unit="s", utc=True)
    return pd.Series([0, 1] * 25, index=hours.rename(name))
