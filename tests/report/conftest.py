"""Entries and replays that several files look at; nobody changes them."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from support.replay_runner import entries, replay_run
from support.stub_models import BTC, PlantedFits, sample_bars

from crypto_refactor.market.ticker import Ticker

ETH, SOL = Ticker("ETH", "USD"), Ticker("SOL", "USD")


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory):
    """Thirty hours of a demo account on simulated bars."""
    with _planted():
        return entries(tmp_path_factory.mktemp("outcomes"))


@pytest.fixture(scope="session")
def single(tmp_path_factory):
    """A replay of 72 hours of one ticker."""
    with _planted():
        return replay_run(tmp_path_factory.mktemp("single"), sample_bars(1200))[0]


@pytest.fixture(scope="session")
def several(tmp_path_factory):
    """A replay of two tickers whose windows differ, while a third is not offered."""
    bars = sample_bars(1200), sample_bars(1190, ETH)
    with _planted():
        return replay_run(tmp_path_factory.mktemp("several"), *bars, tickers=(BTC, ETH, SOL), hours=40)[0]


@contextmanager
def _planted():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crypto_refactor.model.training.jobs.fit_all", PlantedFits())
        yield
