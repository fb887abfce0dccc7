"""Compare and evaluate from a program: arguments as a person writes them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

from crypto_refactor.backtest.choices import Choices, OptionObjects, TargetChoices
from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet, axis_of, combinations
from crypto_refactor.backtest.comparison.request import ComparisonRequest
from crypto_refactor.backtest.comparison.runner import Comparison, run_comparison
from crypto_refactor.backtest.external.evaluation import EvaluationResult, evaluate_targets
from crypto_refactor.backtest.external.target_file import ExternalTargets, Stamped, read_targets
from crypto_refactor.errors import UnavailableError, UsageError
from crypto_refactor.execution.options import EXECUTION_OPTIONS, NEEDS_A_FORECAST, OptionValue
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import Hour, as_hour
from crypto_refactor.market.sources.factory import AnySource, source_of
from crypto_refactor.market.ticker import Ticker, read_tickers
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.cluster import Cluster
from crypto_refactor.model.training.parallel import TrainingObserver
from crypto_refactor.signals.conditions import SignalRules

if TYPE_CHECKING:
    import pandas as pd


def compare(
    tickers: Ticker | str | Iterable[Ticker | str] | None = None,
    hours: int = 720,
    *,
    vary: Mapping[str, Iterable[OptionValue] | str] | None = None,
    source: AnySource | None = None,
    end: datetime | str | Hour | None = None,
    initial_balance: float = 100_000.0,
    settings: ModelSettings | None = None,
    signal_rules: SignalRules | None = None,
    options: ExecutionOptions | None = None,
    model: str | None = None,
    model_dir: Path | str | None = None,
    allow_gaps: bool = False,
    allow_jumps: bool = False,
    observer: TrainingObserver | None = None,
    cluster: Cluster | None = None,
    **choices: Unpack[Choices],
) -> Comparison:
    """Backtest several tickers and settings over one window, and rank them.

    Parameters
    ----------
    tickers : Ticker, str or several of them, optional
        By default those of `source` where it is bars or a mapping, otherwise all of ``tickers.txt``.
    hours : int
        Length of the window.
    vary : mapping, optional
        Values to try by option, each with each: ``{"exit": ["neutral", "fade"], "stop_loss": [None, 0.05]}``.
    source : AnySource, optional
        Where bars come from (see `source_of`); by default the environment's ``CRYPTO_SOURCE``.
    end : datetime, str or Hour, optional
        End of the window (see `as_hour`); by default the latest now of the tickers.
    initial_balance : float
        Of each trial, and of each portfolio as a whole; quote currency.
    settings, signal_rules, options : optional
        Option objects.
    model : str, optional
        Name of a pinned model that decides everything.
    model_dir : Path or str, optional
        By default the tool's model folder.
    allow_gaps : bool
        Accept more than 5 % missing bars.
    allow_jumps : bool
        Accept bad ticks and level breaks, and leave them out of every figure.
    observer : TrainingObserver, optional
        Receives training progress.
    cluster : Cluster, optional
        Where models are trained; by default on this machine.
    **choices
        Single options by keyword, in place of those of the objects (see `Choices`).

    Returns
    -------
    Comparison
        Its `table` has a row a trial.  A ticker that failed stands in `failed` with its error and affects no other one.

    Raises
    ------
    UsageError, DataError
        If the request cannot be met, or the source offers none of the tickers.
    """
    from crypto_refactor.config import settings as environment

    chosen = OptionObjects.of(settings, signal_rules, options, choices)
    base = ParameterSet(settings=chosen.settings, signal_rules=chosen.signal_rules, options=chosen.options)
    if not isinstance(vary, Mapping | None):
        raise UsageError.invalid("vary", vary, 'values by option, such as {"exit": ["neutral", "fade"]}')
    sets = combinations(base, [axis_of(name, values) for name, values in (vary or {}).items()])
    asked = _tickers(tickers, source)
    comparison = run_comparison(
        ComparisonRequest(
            tickers=asked,
            explicitly_requested=tickers is not None,
            settings=sets,
            source=source_of(source, asked[0] if len(asked) == 1 else None),
            hours=hours,
            end=None if end is None else as_hour(end),
            initial_balance=initial_balance,
            model=model,
            model_dir=Path(model_dir or environment().model_dir),
            allow_gaps=allow_gaps,
            allow_jumps=allow_jumps,
            observer=observer or TrainingObserver(),
            cluster=cluster,
        )
    )
    if not comparison.trials and not comparison.failed:
        raise UnavailableError.for_all()
    return comparison


def evaluate(
    ticker: Ticker | str,
    targets: "pd.DataFrame | pd.Series[float] | pd.Series[int] | str | Path",
    *,
    stamped: Literal["open", "close"] | None = None,
    source: AnySource | None = None,
    hours: int | None = None,
    end: datetime | str | Hour | None = None,
    initial_balance: float = 100_000.0,
    options: ExecutionOptions | None = None,
    allow_gaps: bool = False,
    allow_jumps: bool = False,
    **choices: Unpack[TargetChoices],
) -> EvaluationResult:
    """Backtest targets that were made elsewhere, with the engine, the costs and the tests of the tool's own signals.

    Parameters
    ----------
    ticker : Ticker or str
        What the targets are for.
    targets : Series, DataFrame, str or Path
        1 long, -1 short, 0 flat, by full hour (see `targets_of_frame`); or a CSV file with the columns ``made_at`` and
        ``target`` (see `read_targets`).  An hour without a row keeps the last target.
    stamped : {"open", "close"}, optional
        Whether an hour is the close of the bar its target was made from, so that the target is known then, or the bar's
        open, so that it is known an hour later.  By default the close, but the open where the index is named ``opened``,
        as that of `Bars.to_frame` is, or ``timestamp``, as that of a file of bars is.
    source : AnySource, optional
        Where bars come from (see `source_of`); by default the environment's ``CRYPTO_SOURCE``.
    hours : int, optional
        Length of a window within that of the targets, which reaches from the first of them to the last.
    end : datetime, str or Hour, optional
        Its end (see `as_hour`).
    initial_balance : float
        Quote currency.
    options : ExecutionOptions, optional
        The execution rules; `exit` and `strict` need a forecast and keep their defaults.
    allow_gaps : bool
        Accept more than 5 % missing bars.
    allow_jumps : bool
        Accept bad ticks and level breaks, and leave them out of every figure.
    **choices
        Single execution options by keyword (see `TargetChoices`).

    Raises
    ------
    UsageError, DataError
        If the request, a target or the bars cannot be used.
    """
    pair = Ticker.of(ticker)
    chosen = OptionObjects.of(None, None, options, choices, allowed=TargetChoices.__annotations__)
    for name in NEEDS_A_FORECAST:
        if getattr(chosen.options, name) != EXECUTION_OPTIONS[name].default:
            raise UsageError.invalid(
                f"--{name}", str(getattr(chosen.options, name)), "its default: targets have no forecast"
            )
    return evaluate_targets(
        source_of(source, pair),
        pair,
        _targets(targets, stamped),
        chosen.options,
        hours=hours,
        end=None if end is None else as_hour(end),
        initial_balance=initial_balance,
        allow_gaps=allow_gaps,
        allow_jumps=allow_jumps,
    )


def _tickers(
    given: Ticker | str | Iterable[Ticker | str] | None, source: AnySource | None
) -> tuple[Ticker, ...]:
    if given is None:
        return _tickers_of(source)
    several = [given] if isinstance(given, Ticker | str) else given
    if not isinstance(several, Iterable):
        raise UsageError.invalid("tickers", given, "BTC/USD, or several such texts")
    tickers = tuple(dict.fromkeys(map(Ticker.of, several)))
    if not tickers:
        raise UsageError(
            "No ticker was given.", expected="one or more.", remedy="name some, or leave tickers out."
        )
    return tickers


def _tickers_of(source: AnySource | None) -> tuple[Ticker, ...]:
    from crypto_refactor.config import packaged_tickers, tickers_file

    if isinstance(source, Bars):
        return (source.ticker,)
    if isinstance(source, Mapping):
        return tuple(dict.fromkeys(map(Ticker.of, source)))
    return read_tickers(tickers_file(), packaged_tickers())


def _targets(given: object, stamped: Literal["open", "close"] | None) -> ExternalTargets:
    if isinstance(given, str | Path):
        return read_targets(Path(given), Stamped.of(stamped or Stamped.CLOSE))
    import pandas as pd

    if not isinstance(given, pd.DataFrame | pd.Series):
        raise UsageError(
            f"Targets came as {type(given).__name__}.",
            expected="a Series, a DataFrame, or the path of a CSV file.",
            remedy="convert them, for example pd.Series(targets, index=hours).",
        )
    from crypto_refactor.backtest.external.target_frame import targets_of_frame

    return targets_of_frame(given, stamped)
