"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, settings
from support.stub_models import PlantedFits
from support.trained_models import open_lab

from crypto_refactor.market.bars import Bars
from crypto_refactor.market.ticker import Ticker

# The same examples in every run, so that a change is what makes a test fail; `make fuzz` draws new ones.
settings.register_profile("repeatable", derandomize=True)
# For planted bugs: that a property fails is the answer, and the smallest example of it is not asked for.
settings.register_profile("unshrunk", derandomize=True, phases=[Phase.explicit, Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

ROOT = Path(__file__).resolve().parent.parent
BTC = Ticker("BTC", "USD")
REAL_BARS = Path(os.environ.get("CRYPTO_REAL_BARS", ROOT.parent / "shared" / "data" / "hourly"))


@pytest.fixture
def real_bars_dir():
    """Real hourly bars (Binance spot, USDT, 2024), which are not part of the repository."""
    if not (REAL_BARS / "btc_usd_1h.csv").is_file():
        pytest.skip(f"no real bars at {REAL_BARS} (set CRYPTO_REAL_BARS)")
    return REAL_BARS


@pytest.fixture
def random_bars():
    """Return a maker of random but valid bars: `random_bars(n, seed=0, first=400_000)`."""

    def make(count, *, seed=0, first=400_000, ticker=BTC, source="files", sigma=0.005):
        rng = np.random.default_rng(seed)
        close = 100 * np.exp(np.cumsum(rng.normal(0, sigma, count)))
        open_ = np.concatenate([[100.0], close[:-1]])[:count] * np.exp(rng.normal(0, sigma / 5, count))
        wick = np.abs(rng.normal(0, sigma / 2, (2, count)))
        return Bars(
            ticker=ticker,
            source=source,
            opened=first + np.arange(count),
            open=open_,
            high=np.maximum(open_, close) * (1 + wick[0]),
            low=np.minimum(open_, close) / (1 + wick[1]),
            close=close,
            volume=rng.lognormal(3, 1, count),
        )

    return make


@pytest.fixture(scope="session")
def shared_dir(tmp_path_factory, request):
    """A folder that the workers of pytest-xdist share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if hasattr(request.config, "workerinput") else own


@pytest.fixture(scope="session")
def lab(shared_dir):
    """Small networks trained in a process of their own."""
    return open_lab(shared_dir, REAL_BARS)


@pytest.fixture
def fits(monkeypatch):
    """Put planted networks in the place of training, and count them."""
    planted = PlantedFits()
    monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", planted)
    return planted
