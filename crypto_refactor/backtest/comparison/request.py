"""What to compare, checked as a whole before anything is read."""

from dataclasses import dataclass, replace
from pathlib import Path

from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet, require_feasible
from crypto_refactor.backtest.scenarios import check_request
from crypto_refactor.errors import UsageError
from crypto_refactor.execution.venues import alpaca_rules
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.named_models import model_name
from crypto_refactor.model.training.cluster import Cluster
from crypto_refactor.model.training.parallel import TrainingObserver


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparisonRequest:
    """What to compare, over which window, with which models."""

    tickers: tuple[Ticker, ...]
    explicitly_requested: bool  # the tickers were named one by one, so that an unavailable one is a failure
    settings: tuple[ParameterSet, ...]
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


def pinned_name(request: ComparisonRequest) -> str | None:
    """Return the name of the pinned model that decides everything; None where there is none."""
    return None if request.model is None else model_name(request.model)


def check_request_options(request: ComparisonRequest) -> None:
    """Raise UsageError for a value out of range, conflicting options or too many trials."""
    check_request(request.hours, request.initial_balance)
    require_feasible(len(request.tickers), len(request.settings))
    if request.model is not None:
        model_name(request.model)
        varied = next(filter(None, (parameters.model_label for parameters in request.settings)), "")
        if varied:
            name = varied.partition("=")[0]
            raise UsageError(
                f"--vary {name} was given with --model.",
                expected=f"one of the two: a pinned model brings its own {name}.",
                remedy=f"leave out --vary {name}, or --model.",
            )
    for parameters in request.settings:  # a range is the same for every ticker
        replace(parameters.options, venue="none").resolve(request.tickers[0])


def places(request: ComparisonRequest) -> dict[object, int]:
    """Return where each parameter set and each ticker stands in the request."""
    return {each: place for named in (request.settings, request.tickers) for place, each in enumerate(named)}


def traded(ticker: Ticker, parameters: ParameterSet) -> bool:
    """Whether the venue of a parameter set trades the ticker."""
    return parameters.options.venue != "alpaca" or alpaca_rules(ticker) is not None
