"""The execution rules as options, the same for every command that trades."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli.options import combined

if TYPE_CHECKING:
    from crypto_refactor.execution.rules import ExecutionOptions

execution_options = combined(
    click.option(
        "--fee",
        type=float,
        help="Fraction of the notional on every fill.  [default: 0.001; at Alpaca 0.0025]",
    ),
    click.option(
        "--slippage",
        type=float,
        default=0.0,
        show_default=True,
        help="Basis points against the trader on every fill.",
    ),
    click.option(
        "--position-size",
        type=float,
        default=1.0,
        show_default=True,
        help="Entry money as a fraction of the cash.",
    ),
    click.option(
        "--exit",
        "exit_rule",
        type=click.Choice(["neutral", "opposite", "fade"]),
        default="neutral",
        show_default=True,
        help="Close when the signal goes, at the opposite one, or also when the forecast turns.",
    ),
    click.option("--long-only", is_flag=True, help="A short signal closes a long and opens nothing."),
    click.option(
        "--venue",
        type=click.Choice(["none", "alpaca"]),
        default="none",
        show_default=True,
        help="Order rules of a venue.",
    ),
    click.option(
        "--strict/--no-strict",
        default=False,
        show_default=True,
        help="Enter only where the model has evidence and the move exceeds its cost.",
    ),
    click.option(
        "--borrow",
        type=float,
        default=0.0,
        show_default=True,
        metavar="APR",
        help="Annual rate charged on shorts.",
    ),
    click.option(
        "--stop-loss",
        type=float,
        metavar="FRACTION",
        help="Leave when the close is this far against the entry.",
    ),
    click.option(
        "--take-profit", type=float, metavar="FRACTION", help="Leave when the close is this far in favour."
    ),
    click.option(
        "--max-drawdown",
        type=float,
        metavar="FRACTION",
        help="Halt entries this far below the peak.  [default: off; at Alpaca 0.25]",
    ),
    click.option("--max-notional", type=float, metavar="AMOUNT", help="Most money of one entry."),
)


def rule_options(values: Mapping[str, Any]) -> ExecutionOptions:
    """Return what `execution_options` collected."""
    from crypto_refactor.execution.rules import ExecutionOptions, ExitRule

    return ExecutionOptions(
        venue=values["venue"],
        fee=values["fee"],
        slippage_bps=values["slippage"],
        position_size=values["position_size"],
        exit=ExitRule(values["exit_rule"]),
        long_only=values["long_only"],
        strict=values["strict"],
        borrow=values["borrow"],
        stop_loss=values["stop_loss"],
        take_profit=values["take_profit"],
        max_drawdown=values["max_drawdown"],
        max_notional=values["max_notional"],
    )
