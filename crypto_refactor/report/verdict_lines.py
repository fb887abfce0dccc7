"""What a result says first, and what was run, each in one line, wherever it is shown."""

from zoneinfo import ZoneInfo

from crypto_refactor.backtest.comparison.runner import Comparison
from crypto_refactor.backtest.comparison.trials import Trial
from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.backtest.result import RunResult
from crypto_refactor.backtest.significance.overfitting import Overfitting
from crypto_refactor.backtest.significance.sharpe import SelectionBias
from crypto_refactor.backtest.significance.trade_verdict import MIN_TRADES
from crypto_refactor.backtest.significance.verdict import MIN_HOURS
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report.formatting import number, simulated_mark, source_name
from crypto_refactor.report.hour_remarks import hour_warning
from crypto_refactor.report.metric_rows import IN_DAYS, hours_text

UNTESTED = "Not tested against chance."
REQUIRED_PROBABILITY = 0.95
"""What a deflated Sharpe ratio has to reach before the best of several trials counts as evidence."""


def run_alarm(result: RunResult) -> str | None:
    """Return why the figures of a run are not to be trusted; None where nothing speaks against them."""
    if result.audit_passed is False:
        return "AUDIT FAILED: do not trust these figures."
    return hour_warning(result) if isinstance(result, EvaluationResult) else None


def verdict_text(result: RunResult) -> str:
    """Return the verdict on a run, or that there is none."""
    return UNTESTED if result.verdict is None else result.verdict.text


def run_verdict(result: RunResult) -> str:
    """Return the verdict on a run; what speaks against its figures comes instead."""
    return run_alarm(result) or verdict_text(result)


def comparison_verdict(comparison: Comparison) -> str:
    """Return what is left of the best trial; failed audits come before it."""
    trials = comparison.trials
    failed = len(trials) - comparison.audits_passed
    if failed:
        return f"AUDIT FAILED for {failed} of {len(trials)} trials: do not trust their figures."
    return luck_text(comparison)


def comparison_answer(comparison: Comparison) -> str:
    """Return in a sentence what a comparison with at least one trial decides."""
    trials, bias = comparison.trials, comparison.selection_bias
    if comparison.audits_passed < len(trials):
        return comparison_verdict(comparison)
    if bias is None:
        return "Nothing to choose: no trial has a Sharpe ratio."
    missing = missing_data(comparison)
    if missing:
        return f"Not enough data to choose: {'; '.join(missing)}."
    if bias.best_sharpe <= 0:
        return "Every trial that traded lost."
    if beats_chance(bias):
        return "The best trial clearly beats chance."
    return "The best trial does not clearly beat chance."


def missing_data(comparison: Comparison) -> list[str]:
    """Return what a comparison lacks to decide anything, in clauses."""
    trials, missing = comparison.trials, []
    if trials[0].scenarios.requested.metrics.trades < MIN_TRADES:
        missing.append(few_trades_text(comparison))
    if comparison.request.hours < MIN_HOURS:
        missing.append(
            f"the window has {hours_text(comparison.request.hours)} ({hours_text(MIN_HOURS)} needed)"
        )
    return missing


def few_trades_text(comparison: Comparison) -> str:
    """State how many trials closed too few trades."""
    trials = comparison.trials
    few = sum(trial.scenarios.requested.metrics.trades < MIN_TRADES for trial in trials)
    subject = "the only trial" if len(trials) == 1 else f"{few} of {len(trials)} trials"
    return f"{subject} closed fewer than {MIN_TRADES} trades"


def run_title(result: RunResult, tz: ZoneInfo) -> str:
    """State what was run, over which window, on whose bars."""
    kind = "targets" if isinstance(result, EvaluationResult) else "backtest"
    window = result.window
    first, last = (to_local_text(int(window.closed[end]), tz).split(" ") for end in (0, -1))
    if result.hours >= IN_DAYS:  # the hour of day matters less than the room it takes
        first, last = ([at[0], at[-1]] for at in (first, last))
    if first[-1] == last[-1]:  # the zone's name, which changes with the clocks
        first = first[:-1]
    return (
        f"{result.ticker} {kind}, {hours_text(result.hours)} ({' '.join(first)} to {' '.join(last)}), "
        f"{window.source}{simulated_mark(simulated=window.simulated)}"
    )


def comparison_title(comparison: Comparison, tz: ZoneInfo) -> str:
    """State what was compared, over which window."""
    request, end = comparison.request, comparison.end
    counts = f"{counted(len(request.tickers), 'ticker')} with {counted(len(request.settings), 'setting')}"
    if end is None:
        return f"Comparison of {counts}"
    return f"Comparison of {counts}, {span_text(comparison, end, tz)}"


def span_text(comparison: Comparison, end: int, tz: ZoneInfo) -> str:
    """State the window of a comparison and its source."""
    request = comparison.request
    first, last = to_local_text(end - request.hours, tz), to_local_text(end, tz)
    return f"{first} to {last}: {request.hours:,} hours from {source_name(request.source.name)}"


def counted(count: int, noun: str) -> str:
    """Return a number of things."""
    return f"{count} {noun}{'s' * (count > 1)}"


def luck_text(comparison: Comparison) -> str:
    """State what chance alone would show of so many trials."""
    bias = comparison.selection_bias
    if bias is None:
        missing = "has a Sharpe ratio" if any(map(has_traded, comparison.trials)) else "traded"
        return f"No trial {missing}, so there is nothing to rank."
    if bias.trials == 1 and not bias.earlier:
        chance = number(bias.deflated_sharpe)
        return f"One trial, so nothing was selected. Probability that its true Sharpe ratio is above 0: {chance}."
    best = comparison.trials[0]
    idle = sum(not has_traded(trial) for trial in comparison.trials)
    return selection_bias_text(bias, f"{best.ticker}, {best.parameter_set.label}", idle)


def selection_bias_text(bias: SelectionBias, best: str, idle: int) -> str:
    """State how many trials there were, what chance alone would show, and what is left of the best."""
    never = f" ({idle} never traded)" if idle else ""
    earlier = f" after {counted(bias.earlier, 'earlier one')} on overlapping hours" if bias.earlier else ""
    highest = f"{number(bias.best_sharpe)} ({best})"
    if bias.best_sharpe > 0:
        outcome = f"Best Sharpe ratio {highest}; the best"
    else:
        outcome = f"Every trial that traded lost; the highest Sharpe ratio is {highest}. The best"
    return (
        f"{counted(bias.trials, 'trial')}{never}{earlier}. {outcome} of so many would reach "
        f"{number(bias.expected_best_sharpe)} by chance. {_lead(bias)}: deflated Sharpe ratio {number(bias.deflated_sharpe)}, "
        f"at least {number(REQUIRED_PROBABILITY)} needed."
    )


def beats_chance(bias: SelectionBias) -> bool:
    """Whether the best of several trials counts as evidence."""
    return bias.deflated_sharpe is not None and bias.deflated_sharpe >= REQUIRED_PROBABILITY


def _lead(bias: SelectionBias) -> str:
    if beats_chance(bias):
        return "The lead is clear"
    if bias.best_sharpe <= bias.expected_best_sharpe:
        return "There is no lead"
    return "The lead is too small"


def overfitting_text(found: Overfitting) -> str:
    """State how often the best trial of one half of the hours was a bad one of the other half."""
    if found.probability is None:
        return f"The probability of backtest overfitting cannot be estimated: {found.why_none}."
    return (
        f"Probability of backtest overfitting: {number(found.probability)}. In {found.probability * 100:.0f} % of "
        f"{found.splits:,} splits of these hours into halves, the trial that was best in one half was below the median "
        f"of the {found.trials} that traded differently in the other; choosing at random gives 50 %."
    )


def has_traded(trial: Trial) -> bool:
    """Whether the requested run of a trial filled any order."""
    return bool(trial.scenarios.requested.simulation.fills)
