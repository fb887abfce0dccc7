"""Hand-drawn bar tapes: a small table of bars with the fills and the equity they must give beside them.

One line is one bar::

    open close signal [extras] | expected fills | expected equity

    100  100   +1     |                            | 1250
    100  120   +1     | buy 10 @ 100 fee 250 entry | 1200

Extras: ``above``, ``below`` or ``equal`` (the forecast's side of the close; by default the signal's),
``weak`` (no evidence, or a move below its cost), ``blind`` (cannot be decided on because of its bars),
``synth`` (a synthetic bar), ``low=90`` and ``high=130``, ``jump`` (a close that jumps: nothing is decided) and
``jump=70`` (protections act at 70).  A line ``...`` is a gap of 100 hours.  The first bar
only makes the first decision.
With a fee of 1/4 and 1250 in cash everything comes out round: 1250 buys 1250 / (100 * 1.25) = 10.
"""

from __future__ import annotations

import numpy as np

from crypto_refactor.backtest.engine import simulate
from crypto_refactor.execution.decisions import SignalPlan
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.sides import Side

FIRST = 400_000
GAP = 100
SIDES = {"above": 1, "equal": 0, "below": -1}


def play(tape, *, balance=1250.0, fee=0.25, **rules):
    """Run the engine on `tape`, insist on the fills and the equity drawn in it, and return the result."""
    drawn = _read(tape)
    result = simulate(_bars(drawn), _plan(drawn), ExecutionRules(fee=fee, **rules), initial_balance=balance)
    got = _render(drawn, result)
    wanted = "\n".join(f"{fills or '-':<70} {equity}" for fills, equity in (row["expected"] for row in drawn))
    assert got == wanted, f"\ngot\n{got}\nwanted\n{wanted}"
    return result


def rows(result):
    """Return each trade as one line."""
    return [
        f"{Side(t.direction).label} {number(t.quantity)}: {number(t.entry_price)} -> {number(t.exit_price)}"
        f" gross {money(t.gross_pnl)} fees {money(t.fees)} net {money(t.net_pnl)}"
        f" {t.bars_held}h {t.exit_reason}"
        for t in result.trades
    ]


def number(value):
    return f"{value:.6f}".rstrip("0").rstrip(".")


def money(value):
    return f"{round(value, 2) + 0.0:.2f}".removesuffix(".00")


def _read(tape):
    drawn, hour = [], FIRST
    for line in filter(None, (text.partition("#")[0].strip() for text in tape.splitlines())):
        if line == "...":
            hour += GAP
            continue
        bar, fills, equity = (part.strip() for part in line.split("|"))
        open_, close, signal, *extras = bar.split()
        levels = dict(extra.split("=") for extra in extras if "=" in extra)
        drawn.append(
            {
                "hour": hour,
                "open": float(open_),
                "close": float(close),
                "low": float(levels.get("low", min(float(open_), float(close)))),
                "high": float(levels.get("high", max(float(open_), float(close)))),
                "signal": int(signal),
                "forecast": next((SIDES[extra] for extra in extras if extra in SIDES), int(signal)),
                "weak": "weak" in extras,
                "blind": "blind" in extras,
                "synthetic": "synth" in extras,
                "protection": np.nan if "jump" in extras else float(levels.get("jump", close)),
                "expected": (" ; ".join(part.strip() for part in fills.split(";")), money(float(equity))),
            }
        )
        hour += 1
    return drawn


def _column(drawn, name, kind=float):
    return np.array([row[name] for row in drawn], dtype=kind)


def _bars(drawn):
    return Bars(
        ticker=Ticker("BTC", "USD"),
        source="files",
        opened=_column(drawn, "hour", int),
        volume=np.ones(len(drawn)),
        synthetic=_column(drawn, "synthetic", bool),
        protection_price=_column(drawn, "protection"),
        **{name: _column(drawn, name) for name in ("open", "high", "low", "close")},
    )


def _plan(drawn):
    return SignalPlan(
        signal=_column(drawn, "signal", np.int8),
        forecast_side=_column(drawn, "forecast", np.int8),
        exceeds_cost=~_column(drawn, "weak", bool),
        decidable=~_column(drawn, "blind", bool),
    )


def _render(drawn, result):
    hours = {row["hour"]: [] for row in drawn}
    opens = set(hours)
    for fill in result.fills:
        # Only ruin happens at a close, which is the hour at which the next bar may open.
        at_close = fill.reason == "ruin" and (
            fill.at not in opens or _ruined_at_close(result, fill.at, drawn)
        )
        verb = "buy" if fill.side == 1 else "sell"
        hours[fill.at - at_close].append(
            f"{verb} {number(fill.quantity)} @ {number(fill.price)} fee {money(fill.fee)} {fill.reason}"
        )
    return "\n".join(
        f"{' ; '.join(hours[row['hour']]) or '-':<70} {money(equity)}"
        for row, equity in zip(drawn, result.equity, strict=True)
    )


def _ruined_at_close(result, hour, drawn):
    row = next(i for i, bar in enumerate(drawn) if bar["hour"] == hour)
    return result.sides[row - 1] == 0
