"""Sentences about the hour at which targets act, worded once for the terminal, the HTML page and JSON."""

from zoneinfo import ZoneInfo

from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.backtest.external.one_hour_later import Dependence
from crypto_refactor.backtest.external.target_file import Stamped
from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.backtest.result import RunResult
from crypto_refactor.market.hours import to_iso, to_local_text
from crypto_refactor.report.formatting import percent

_DEPENDENCES = {
    Dependence.SIGN: "the sign of this result hangs",
    Dependence.MOST: "most of this result hangs",
    Dependence.ADVANTAGE: "the advantage of this result over buy and hold hangs",
}
_REMEDIES = {
    Stamped.CLOSE: "If the stamps are the opens of bars, repeat with --stamped open.",
    Stamped.OPEN: "The targets know more than the bar they are stamped with.",
}


def account_columns(result: RunResult) -> dict[str, Metrics | None]:
    """Return the metrics of each account by the title of its column; None where Alpaca does not trade the ticker."""
    run, alpaca, hold = result.scenarios.metrics
    later = {}
    if isinstance(result, EvaluationResult):
        later = {"One hour later": result.one_hour_later.run.metrics}
    return {"This run": run, **later, "At Alpaca": alpaca, "Buy and hold": hold}


def acting_text(result: EvaluationResult, tz: ZoneInfo | None = None) -> str:
    """State at which hour the first target acts; without `tz`, times are ISO-8601 UTC."""
    stamped, known = result.targets.stamped, int(result.targets.made_at[0])
    at, stamp = (
        to_iso(hour) if tz is None else to_local_text(hour, tz)
        for hour in (known, known - stamped.hours_to_close)
    )
    when = "at that very hour" if stamped is Stamped.CLOSE else f"when that bar closes, at {at}"
    return (
        f"Stamps are the {stamped}s of bars (--stamped {stamped}): the target stamped {stamp} is known {when}, and is "
        f"filled at the open of {at}, or at the next open there is."
    )


def hour_warning(result: EvaluationResult) -> str | None:
    """Return the warning that a result hangs on one hour; None where it does not."""
    later = result.one_hour_later
    if later.dependence is None:
        return None
    totals = (run.metrics.total_return for run in (result.requested, later.run))
    now, then = (percent(total, signed=True) for total in totals)
    return (
        f"WARNING: {_DEPENDENCES[later.dependence]} on one hour: {now} as stamped, {then} with every target one hour "
        f"later. {_first_hour(result)}, {later.first_hour / later.error:.1f} standard errors more than chance: so do targets "
        f"that know the bar they trade. {_REMEDIES[result.targets.stamped]}"
    )


def hour_text(result: EvaluationResult) -> str:
    """State what one hour is worth to the targets."""
    total = result.one_hour_later.run.metrics.total_return
    return (
        f"With every target one hour later: {percent(total, signed=True)}. {_first_hour(result)} "
        "(a sum of hourly returns before fees, with its standard error)."
    )


def _first_hour(result: EvaluationResult) -> str:
    later = result.one_hour_later
    return f"The hour after each change of side earned {percent(later.first_hour, signed=True)} ± {percent(later.error)}"
