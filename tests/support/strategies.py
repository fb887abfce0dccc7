"""Random bars, plans and rules for property tests: four bytes draw one bar, and zeros draw a calm one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto_refactor.backtest.engine import simulate
from crypto_refactor.execution.decisions import SignalPlan
from crypto_refactor.execution.rules import ExecutionRules, ExitRule
from crypto_refactor.execution.venues import VenueRules
from crypto_refactor.market.bars import Bars, fill_gaps
from crypto_refactor.market.ticker import Ticker

FIRST = 400_000
PLAIN = {
    "exit": ExitRule.NEUTRAL,
    "long_only": False,
    "strict": False,
    "borrow": 0.0,
    "stop_loss": None,
    "take_profit": None,
    "max_drawdown": None,
    "max_notional": None,
    "venue": None,
}
"""Rules under which the side held is the signal one bar earlier."""
COARSE = VenueRules(name="coarse", increment=0.5, min_quantity=1.0, min_notional=60.0, as_of="2024-01")
FINE = VenueRules(name="fine", increment=1e-9, min_quantity=1e-9, min_notional=1.0, as_of="2024-01")


def holds_for(*strategies, examples=100):
    """Mark a property of the engine; without a deadline, because a neighbour may keep the machine busy."""

    def decorate(test):
        return settings(deadline=None, max_examples=examples)(given(*strategies)(test))

    return decorate


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run: bars, plan, rules and balance."""

    bars: Bars
    plan: SignalPlan
    rules: ExecutionRules
    balance: float

    def run(self, **changed):
        return simulate(self.bars, self.plan, replace(self.rules, **changed), initial_balance=self.balance)

    def rows(self, start, stop):
        """Return the same case on the bars at positions `start … stop - 1`."""
        part = slice(start, stop)
        columns = {name: getattr(self.plan, name) for name in SignalPlan.__slots__}
        plan = SignalPlan(
            **{name: None if column is None else column[part] for name, column in columns.items()}
        )
        return replace(self, bars=self.bars.rows(start, stop), plan=plan)


@st.composite
def cases(draw, *, gaps=True, wild=True, blind=True, jumps=False, min_bars=15, max_bars=80, **fixed):
    """Draw a case; `wild` bars can double, `gaps` and `blind` draw what is synthetic or undecidable.

    With `jumps` some closes are held, and protections act at another price on them, or at none.
    """
    data = draw(st.binary(min_size=4 * min_bars, max_size=4 * max_bars))
    table = np.frombuffer(data[: len(data) // 4 * 4], dtype=np.uint8).reshape(-1, 4)
    bars = _bars(table, gaps=gaps, jumps=jumps, scale=1.0 if wild else 0.06)
    return Case(
        bars=bars,
        plan=_plan(table, bars, blind=blind),
        rules=draw(rules(**fixed)),
        balance=draw(st.sampled_from([1000.0, 1250.0, 73.21])),
    )


def rules(**fixed):
    """Draw rules; what is `fixed` is not drawn, and a venue implies `long_only` as everywhere."""
    drawn = {
        "fee": st.sampled_from([0.0, 0.001, 0.0025, 0.05]),
        "slippage_bps": st.sampled_from([0.0, 0.0, 5.0, 200.0]),
        "position_size": st.sampled_from([1.0, 1.0, 0.5, 0.37]),
        "exit": st.sampled_from(list(ExitRule)),
        "long_only": st.booleans(),
        "strict": st.booleans(),
        "borrow": st.sampled_from([0.0, 0.0, 0.1, 500.0, 5000.0]),
        "stop_loss": st.sampled_from([None, None, 0.01, 0.1]),
        "take_profit": st.sampled_from([None, None, 0.02, 0.2]),
        "max_drawdown": st.sampled_from([None, None, 0.05, 0.3, 0.9]),
        "max_notional": st.sampled_from([None, None, 400.0]),
        "venue": st.sampled_from([None, None, COARSE, FINE]),
    }
    drawn |= {name: st.just(value) for name, value in fixed.items()}
    if fixed.get("long_only") is False:
        drawn["venue"] = st.none()
    return st.fixed_dictionaries(drawn).map(_rules)


def _rules(values):
    return ExecutionRules(**values | ({"long_only": True} if values["venue"] else {}))


def _bars(table, *, gaps, jumps, scale):
    moves = (table[:, :2].astype(np.int8) / 128.0) ** 3 * scale
    path = np.exp(np.cumsum(moves.ravel())).reshape(-1, 2)
    # Keep prices between 1e-2 and 1e6 however long a wild tape climbs or falls.
    path = 100.0 * np.exp(np.clip(np.log(path), -9.0, 9.0))
    opens, closes = path[:, 0], path[:, 1]
    step = np.ones(len(table), dtype=np.int64)
    if gaps:
        kind = table[:, 3]
        step[(kind >= 225) & (kind < 240)] = 2 + kind[(kind >= 225) & (kind < 240)] % 4
        step[kind >= 250] = 100
    wick = 1 + table[:, 2] / 2000.0
    protection = closes.copy()
    if jumps:
        protection[(table[:, 3] >= 246) & (table[:, 3] < 248)] = np.nan
        protection[(table[:, 3] >= 248) & (table[:, 3] < 250)] *= 0.8
    return fill_gaps(
        Bars(
            ticker=Ticker("BTC", "USD"),
            source="files",
            opened=FIRST + np.cumsum(step),
            open=opens,
            high=np.maximum(opens, closes) * wick,
            low=np.minimum(opens, closes) / wick,
            close=closes,
            volume=np.ones(len(table)),
            protection_price=protection,
        )
    )


def _plan(table, bars, *, blind):
    choice = table[:, 2]
    changes = choice >= 150
    changes[0] = True
    latest = np.maximum.accumulate(np.where(changes, np.arange(len(table)), 0))
    signal = np.array([0, 1, -1])[choice % 3][latest] * (choice[latest] > 0)
    forecast = np.where(signal != 0, signal, np.array([0, 1, -1])[table[:, 3] % 3])
    real = np.flatnonzero(~bars.synthetic)

    def spread(values, filler):
        column = np.full(len(bars), filler, dtype=values.dtype)
        column[real] = values
        return column

    kind = table[:, 3]
    return SignalPlan(
        # What a plan says about a synthetic bar must not matter, so it says something loud.
        signal=spread(signal.astype(np.int8), -1),
        forecast_side=spread(forecast.astype(np.int8), -1),
        exceeds_cost=spread(kind % 5 != 1, True),
        decidable=spread((kind < 240) | (kind >= 250) if blind else kind >= 0, True),
    )
