"""What a comparison is asked for, checked as a whole before anything is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet
from crypto_refactor.backtest.scenarios import check_request
from crypto_refactor.errors import UsageError
from crypto_refactor.execution.venues import alpaca_rules
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.named_models import model_name
from crypto_refactor.model.training.parallel import Cluster, TrainingObserver

MAX_TRIALS = 500
"""More than this is a search, and the best of a search says little."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparisonRequest:
    """What is to be compared.

    Attributes
    ----------
    tickers : tuple of Ticker
        In the order asked for.
    asked : bool
        Whether they were named one by one, so that one that is not offered is a failure.
    settings : tuple of ParameterSet
        What each ticker is tried with; spans and lookback of their models are the same.
    source : Source
        Where bars come from.
    hours : int
        Length of the window.
    end : int or None
        Its end; by default the latest now of the tickers.
    initial_balance : float
        Of each trial, and of each portfolio as a whole; quote currency.
    model : str or None
        Name of a frozen model that decides everything.
    model_dir : Path
        The model folder.
    allow_gaps : bool
        Accept more than 5 % missing bars.
    observer : TrainingObserver
        Receives training progress.
    cluster : Cluster or None
        Where models are trained; None for this machine.
    """

    tickers: tuple[Ticker, ...]
    asked: bool
    settings: tuple[ParameterSet, ...]
    source: Source
    hours: int
    end: int | None
    initial_balance: float
    model: str | None
    model_dir: Path
    allow_gaps: bool
    observer: TrainingObserver
    cluster: Cluster | None = None


def check_request_options(request: ComparisonRequest) -> None:
    """Refuse what cannot be compared, whatever the bars say.

    Raises
    ------
    UsageError
        If an option is out of range, options contradict each other, or there are too many trials.
    """
    check_request(request.hours, request.initial_balance)
    count = len(request.tickers) * len(request.settings)
    if count > MAX_TRIALS:
        raise UsageError(
            f"{len(request.tickers)} tickers with {len(request.settings)} settings each are {count} trials.",
            expected=f"at most {MAX_TRIALS}.",
            remedy="name fewer tickers with --ticker, or vary fewer options or values.",
        )
    if request.model is not None:
        model_name(request.model)
        if len({setting.settings for setting in request.settings}) > 1:
            raise UsageError(
                "--vary network was given with --model.",
                expected="one of the two: a frozen model brings its network along.",
                remedy="leave out --vary network, or --model.",
            )
    for setting in request.settings:  # a value out of its range is so for every ticker
        replace(setting.options, venue="none").resolve(request.tickers[0])


def traded(ticker: Ticker, setting: ParameterSet) -> bool:
    """Whether the venue of a setting trades the ticker."""
    return setting.options.venue != "alpaca" or alpaca_rules(ticker) is not None
