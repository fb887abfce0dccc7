"""The short form of `make soak`; the seed is ``SOAK_SEED``, 1 by default."""

from __future__ import annotations

import os

import pytest
from support.soak_world import ALL
from trading_soak import soak


@pytest.mark.slow
@pytest.mark.parametrize("course", ["two", "killed"])
def test_a_day_of_trading_loses_doubles_and_disowns_nothing(tmp_path, course):
    seed = int(os.environ.get("SOAK_SEED", "1"))
    assert soak(tmp_path, course, days=1, seed=seed, tickers=ALL[:3]) == []
