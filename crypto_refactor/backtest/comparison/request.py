"""What to compare, checked as a whole before anything is read."""

from dataclasses import dataclass, replace
from pathlib import Path

from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet
from crypto_refactor.backtest.scenarios import check_request
from crypto_refactor.errors import UsageError
from crypto_refactor.execution.venues import alpaca_rules
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.named_models import model_name
from crypto_refactor.model.training.cluster import Cluster
from crypto_refactor.model.training.parallel import TrainingObserver

MAX_TRIALS = 5000
"""As many as fit into the memory of a small machine: a trial of 2,160 hours takes about 3 MB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparisonRequest:
    """What to compare, over which window, with which models."""

    tickers: tuple[Ticker, ...]
    explicitly_requested: bool  # the tickers were named one by one, so that an unavailable one is a failure
    settings: tuple[ParameterSet, ...]  # each with models of the same spans and lookback
    source: Source
    hours: int
    end: int | None  # by default the latest now of the tickers
    initial_balance: float  # of each trial, and of each portfolio as a whole; quote currency
    model: str | None  # name of a pinned model that decides everything
    model_dir: Path
    allow_gaps: bool  # accept more than 5 % missing bars
    allow_jumps: bool = False  # accept bad ticks and level breaks
    observer: TrainingObserver
    cluster: Cluster | None = None  # where models are trained; None for this machine


def check_request_options(request: ComparisonRequest) -> None:
    """Raise UsageError for a value out of range, conflicting options or too many trials."""
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
        if len({parameters.settings for parameters in request.settings}) > 1:
            raise UsageError(
                "--vary network was given with --model.",
                expected="one of the two: a pinned model brings its own network.",
                remedy="leave out --vary network, or --model.",
            )
    for parameters in request.settings:  # a range is the same for every ticker
        replace(parameters.options, venue="none").resolve(request.tickers[0])


def traded(ticker: Ticker, parameters: ParameterSet) -> bool:
    """Whether the venue of a parameter set trades the ticker."""
    return parameters.options.venue != "alpaca" or alpaca_rules(ticker) is not None
