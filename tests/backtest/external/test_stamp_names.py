"""What the hours of targets from pandas mean, by the name of their index."""

import pandas as pd
import pytest

from crypto_refactor.backtest.external.target_file import Stamped
from crypto_refactor.backtest.external.target_frame import targets_of_frame
from crypto_refactor.errors import UsageError


def targets(name):
    hours = pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC", name=name)
    return pd.Series([0, 1, 0], index=hours)


@pytest.mark.parametrize("name", ["opened", "timestamp"])
def test_the_hours_of_bars_are_opens_so_that_no_target_knows_the_bar_it_trades(name):
    found = targets_of_frame(targets(name), None)
    assert found.stamped is Stamped.OPEN
    assert found.made_at[0] == targets_of_frame(targets(None), None).made_at[0] + 1
    with pytest.raises(UsageError, match=f"Hours named {name} were said to be closes"):
        targets_of_frame(targets(name), "close")
