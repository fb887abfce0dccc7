"""The execution rules in one line."""

from __future__ import annotations

from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.report.formatting import money, percent

HYPOTHETICAL = "hypothetical: no spot venue offers them"
"""What is said of shorts."""


def rules_text(rules: ExecutionRules) -> str:
    """Return the execution rules in one line."""
    parts = [
        f"fee {percent(rules.fee)} a fill, round trip {percent(rules.round_trip_cost)}",
        f"exit {rules.exit}",
        "long only" if rules.long_only else f"long and short (shorts are {HYPOTHETICAL})",
    ]
    optional = (
        (rules.slippage_bps > 0, f"slippage {rules.slippage_bps:g} bps"),
        (rules.position_size < 1, f"position size {percent(rules.position_size, 0)}"),
        (rules.strict, "strict entries"),
        (rules.borrow > 0, f"borrow {percent(rules.borrow)} a year"),
        (rules.venue is not None, "at Alpaca, fee taken in what is received"),
    )
    parts += [text for given, text in optional if given]
    protections = (
        ("stop-loss", rules.stop_loss),
        ("take-profit", rules.take_profit),
        ("entries halt at drawdown", rules.max_drawdown),
    )
    parts += [f"{name} {percent(value, 1)}" for name, value in protections if value is not None]
    if rules.max_notional is not None:
        parts.append(f"at most {money(rules.max_notional)} an entry")
    return "Rules: " + "; ".join(parts) + "."
