"""Hints: what makes a run less than it seems, though nothing about it is wrong."""

from zoneinfo import ZoneInfo

from crypto_refactor.backtest.result import BacktestResult, RunResult
from crypto_refactor.execution.options import option_hints
from crypto_refactor.execution.sub_account import MIN_ENTRY
from crypto_refactor.market.hours import to_iso, to_local_text
from crypto_refactor.signals.condition_catalogue import conditions_of, volume_hint


def all_hints(result: RunResult) -> list[str]:
    """Return every hint on a run, its options included; times are ISO-8601 UTC."""
    return option_hints(result.requested.rules) + run_hints(result, None)


def run_hints(result: RunResult, tz: ZoneInfo | None) -> list[str]:
    """Return what the bars and the account of a run give reason to say; without `tz`, times are ISO-8601 UTC."""
    hints = [_spent(result, tz)]
    if isinstance(result, BacktestResult) and not result.window.volume.any():
        conditions = conditions_of(result.settings.plugins)
        hints.append(volume_hint(result.signal_rules.min_confirmations, len(conditions)))
    return [hint for hint in hints if hint]


def _spent(result: RunResult, tz: ZoneInfo | None) -> str:
    run, rules = result.requested.simulation, result.requested.rules
    if run.account.side or run.account.cash * rules.position_size >= MIN_ENTRY:
        return ""
    since = run.fills[-1].at if run.fills else int(result.window.closed[0])
    at = to_iso(since) if tz is None else to_local_text(since, tz)
    return f"The account is spent since {at}: less than {MIN_ENTRY:g} {result.ticker.quote} an entry is left, and nothing is entered."
