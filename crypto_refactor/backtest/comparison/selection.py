"""A trial that is chosen on the first part of a window and tested on the rest, which the choice never saw."""

from contextlib import suppress
from dataclasses import dataclass, replace

from crypto_refactor.backtest.assessment import assessed
from crypto_refactor.backtest.comparison.request import ComparisonRequest, pinned_name
from crypto_refactor.backtest.comparison.runner import Comparison, run_comparison
from crypto_refactor.backtest.comparison.trials import Trial, result_of
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.errors import CryptoRefactorError, UsageError

MIN_PART_HOURS = 24
"""A part shorter than a day can neither choose nor test anything."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldOutTest:
    """The best trial of the first part of a window, on the rest of it.

    Both parts are comparisons of their own, each trial of which starts from cash with the whole balance: each is equal
    to the backtest of that part alone.  A position that is open where the parts meet is marked there in the first one,
    and does not exist in the second.

    Attributes
    ----------
    fraction : float
        The share of the hours that was asked for.
    end : int or None
        The end of the window, hours since 1970; None if the source knows none.
    choice : Comparison
        The first part.
    rest : Comparison or None
        The same trials on the rest; None if nothing was chosen.
    chosen : BacktestResult or None
        The chosen trial on the rest, tested and audited; None if nothing was chosen or it failed there.
    """

    fraction: float
    end: int | None
    choice: Comparison
    rest: Comparison | None
    chosen: BacktestResult | None

    @property
    def choice_trial(self) -> Trial | None:
        """The chosen trial, on the hours that chose it: the first by Sharpe ratio; None where none has one.

        Ties go to the higher return, then to the setting and the ticker that were named first.
        """
        return _best(self.choice)

    @property
    def best_in_hindsight(self) -> Trial | None:
        """The trial that did best on the rest, which nobody could have known; None where none has a Sharpe ratio."""
        return None if self.rest is None else _best(self.rest)

    @property
    def rank(self) -> int | None:
        """The place of the chosen trial on the rest, from 1; None if it was not tested there."""
        trial = _same_trial(self.choice_trial, self.rest)
        return None if trial is None or self.rest is None else self.rest.trials.index(trial) + 1


def select_then_test(request: ComparisonRequest, fraction: float) -> HeldOutTest:
    """Choose the best trial on the first `fraction` of the window's hours, and test it on the rest.

    Raises
    ------
    UsageError
        If an option is out of range, or a part would be too short.
    """
    chosen_on = _hours_to_choose_on(request.hours, fraction)
    rest = request.hours - chosen_on
    end = _common_end(request) if request.end is None else request.end
    first = replace(request, hours=chosen_on, end=None if end is None else end - rest)
    choice = run_comparison(first)
    best = _best(choice)
    if best is None or end is None:
        return HeldOutTest(fraction=fraction, end=end, choice=choice, rest=None, chosen=None)
    tickers = tuple(
        ticker for ticker in request.tickers if any(trial.ticker == ticker for trial in choice.trials)
    )
    on_rest = run_comparison(replace(request, tickers=tickers, hours=rest, end=end))
    trial = _same_trial(best, on_rest)
    chosen = None if trial is None else assessed(result_of(trial, end, pinned_name(request)))
    return HeldOutTest(fraction=fraction, end=end, choice=choice, rest=on_rest, chosen=chosen)


def _hours_to_choose_on(hours: int, fraction: float) -> int:
    if not 0 < fraction < 1:
        raise UsageError.invalid(
            "--select-then-test", fraction, "a fraction above 0 and below 1", example="0.7"
        )
    first = round(hours * fraction)
    if min(first, hours - first) < MIN_PART_HOURS:
        raise UsageError(
            f"--select-then-test {fraction:g} divides {hours:,} hours into {first:,} and {hours - first:,}.",
            expected=f"at least {MIN_PART_HOURS} hours in each part.",
            remedy="choose another fraction, or more --hours.",
        )
    return first


def _common_end(request: ComparisonRequest) -> int | None:
    """Return the latest hour that the source has for any ticker; what it says about the others, `compare` reports."""
    ends = []
    for ticker in request.tickers:
        with suppress(CryptoRefactorError):
            ends.append(request.source.now(ticker))
    return max(ends, default=None)


def _best(comparison: Comparison) -> Trial | None:
    best = next(iter(comparison.trials), None)
    return None if best is None or best.scenarios.requested.metrics.sharpe is None else best


def _same_trial(trial: Trial | None, comparison: Comparison | None) -> Trial | None:
    """Return the trial of another part that has the same ticker and parameter set."""
    if trial is None or comparison is None:
        return None
    same = (
        each
        for each in comparison.trials
        if (each.ticker, each.parameter_set) == (trial.ticker, trial.parameter_set)
    )
    return next(same, None)
