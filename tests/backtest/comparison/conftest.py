"""Requests of comparisons of held bars."""

from __future__ import annotations

import pytest
from support.replay_runner import SeveralBars

from crypto_refactor.backtest.comparison.request import ComparisonRequest
from crypto_refactor.model.training.parallel import TrainingObserver


@pytest.fixture
def request_of(tmp_path):
    """Return the request for given bars and settings; models go into `folder`."""

    def make(*held, hours, settings, tickers=None, source=None, folder="models", **options):
        source = source or SeveralBars(*held)
        asked = {
            "tickers": tuple(tickers or source.held),
            "explicitly_requested": False,
            "settings": settings,
            "source": source,
            "hours": hours,
            "end": None,
            "initial_balance": 10_000.0,
            "model": None,
            "model_dir": tmp_path / folder,
            "allow_gaps": True,
            "observer": TrainingObserver(),
        }
        return ComparisonRequest(**(asked | options))

    return make
