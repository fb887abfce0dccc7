"""The result of trading a window: three account runs, and what was tested on them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from crypto_refactor.arrays import SideArray
from crypto_refactor.backtest.audit_findings import Audit
from crypto_refactor.backtest.diagnostics import (
    Diagnostics,
    blocked_entries,
    condition_figures,
    entries_beyond_cost,
    entry_sizes,
    feature_correlations,
    signal_counts,
    why_no_entry,
)
from crypto_refactor.backtest.engine import Simulation
from crypto_refactor.backtest.jump_shares import JumpShare, jump_shares
from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.backtest.significance.earlier_trials import EarlierTrials
from crypto_refactor.backtest.significance.input_importance import InputImportance
from crypto_refactor.backtest.significance.summary import Significance
from crypto_refactor.backtest.significance.verdict import Verdict, verdict
from crypto_refactor.backtest.walk_forward import WalkForward, align_to_bars
from crypto_refactor.execution.decisions import SignalPlan
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.market.bars import Bars, fill_gaps
from crypto_refactor.market.quality import QualityReport
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.presentation import PresentedRun
from crypto_refactor.signals.conditions import SignalRules
from crypto_refactor.signals.window_gaps import WindowGap, window_gaps

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AccountRun:
    """One account over the window: its rules, what happened to it, and its metrics."""

    rules: ExecutionRules
    simulation: Simulation
    metrics: Metrics

    def __repr__(self) -> str:
        metrics = self.metrics
        return f"AccountRun(total_return={metrics.total_return:.4f}, trades={metrics.trades}, fees_paid={metrics.fees_paid:.2f})"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scenarios:
    """One plan traded three ways."""

    requested: AccountRun
    alpaca: AccountRun | None  # with --venue alpaca --fee 0.0025; None if Alpaca does not trade the ticker
    buy_and_hold: AccountRun  # buys at the first open with the whole balance, pays the fee, and holds

    @property
    def metrics(self) -> tuple[Metrics, Metrics | None, Metrics]:
        """Metrics of the three runs, in the order of the fields."""
        alpaca = None if self.alpaca is None else self.alpaca.metrics
        return self.requested.metrics, alpaca, self.buy_and_hold.metrics


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RunResult(PresentedRun, ABC):
    """A window traded by the tool's signals or by external targets."""

    end: int  # of the window, hours since 1970
    window: Bars  # n + 1 bars, gaps filled: the one of the first decision, then the n of the window
    quality: QualityReport  # of the bars in use
    scenarios: Scenarios
    significance: Significance | None = None  # the requested run against chance; None if not tested
    earlier: EarlierTrials | None = None  # what was tried on these hours before; None if not counted

    @property
    def requested(self) -> AccountRun:
        """The account that follows the requested rules."""
        return self.scenarios.requested

    @property
    def alpaca(self) -> AccountRun | None:
        """The account at Alpaca; None if Alpaca does not trade the ticker."""
        return self.scenarios.alpaca

    @property
    def buy_and_hold(self) -> AccountRun:
        """The account that buys at the first open and holds."""
        return self.scenarios.buy_and_hold

    @property
    def metrics(self) -> Metrics:
        """The figures of the requested run; `Metrics` states their units."""
        return self.requested.metrics

    @property
    def equity(self) -> "pd.DataFrame":
        """Equity at each close of the window, in the quote currency: `requested`, `alpaca` where it trades, `buy_and_hold`.

        The first row is the balance at the close of the first decision, an hour before the first bar that is traded.
        """
        from crypto_refactor.backtest.result_frames import equity_frame

        runs = {"requested": self.requested, "alpaca": self.alpaca, "buy_and_hold": self.buy_and_hold}
        return equity_frame(
            self.window, {name: run.simulation for name, run in runs.items() if run is not None}
        )

    @property
    def trades(self) -> "pd.DataFrame":
        """The trades of the requested run, in order of exit; see `trades_frame`."""
        from crypto_refactor.backtest.result_frames import trades_frame

        return trades_frame(self.requested.simulation)

    @property
    def ticker(self) -> Ticker:
        """The ticker that was traded."""
        return self.window.ticker

    @property
    def hours(self) -> int:
        """Length of the window in hours."""
        return self.end - int(self.window.closed[0])

    @property
    def jump_shares(self) -> tuple[JumpShare, ...]:
        """What each jump within the window means for the requested run."""
        return jump_shares(self.quality.jumps, self.window, self.requested.simulation)

    @property
    def verdict(self) -> Verdict | None:
        """Whether there is evidence of an edge; None without significance tests."""
        if self.significance is None:
            return None
        run = self.requested
        return verdict(
            run.metrics,
            self.hours,
            self.significance,
            self.audit_passed,
            round_trip_cost=run.rules.round_trip_cost,
            earlier=self.earlier,
        )

    @property
    def audit_passed(self) -> bool | None:
        """Whether the audit passed; None without an audit."""
        return None

    @abstractmethod
    def why_no_entry(self, rules: ExecutionRules) -> str:
        """Return one sentence on why `rules` led to no entry, for a run without one."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BacktestResult(RunResult):
    """The result of a backtest."""

    bars: Bars  # real bars up to the end of the window, history included, as quoted
    settings: ModelSettings
    signal_rules: SignalRules
    walk: WalkForward
    pinned: str | None  # name of the pinned model that decided everything
    audit: Audit | None = None  # whether the run used the future, and adds up; None if not audited
    importance: Mapping[str, InputImportance] | None = (
        None  # of each input of the models; None if not measured
    )

    @property
    def signals(self) -> "pd.DataFrame":
        """The signal at each close that was decided, with its conditions; see `signals_frame`."""
        from crypto_refactor.backtest.result_frames import signals_frame

        return signals_frame(self.walk.signals)

    @property
    def plan(self) -> SignalPlan:
        """What the requested run knew at each close of the window."""
        return plan_for(self.walk, self.window, self.requested.rules)

    @property
    def audit_passed(self) -> bool | None:
        """Whether the audit passed; None without an audit."""
        return None if self.audit is None else self.audit.passed

    @property
    def undecidable(self) -> int:
        """Number of real closes that could not be decided on, because bars of their window are missing."""
        return int((~self.window.synthetic & ~self.window.held).sum()) - len(self.walk.signals)

    @property
    def decision_gaps(self) -> list[WindowGap]:
        """The gaps because of which real closes could not be decided on, in the order of time."""
        real = self.window.closed[~self.window.synthetic]
        closes = np.setdiff1d(real, self.walk.signals.decided_at).tolist()
        return window_gaps(fill_gaps(self.bars), closes, self.settings.lookback)

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """Signal counts, condition rates, feature correlations and entry sizes, computed once."""
        signals, fills = self.walk.signals, self.requested.simulation.fills
        pinned = self.pinned is not None
        conditions = condition_figures(signals, self.signal_rules, self.window)
        return Diagnostics(
            signals=signal_counts(signals),
            conditions=conditions,
            correlations=feature_correlations(self.walk.periods, self.settings, pinned=pinned),
            entries=entry_sizes(fills, self.window),
            entries_beyond_cost=entries_beyond_cost(fills, signals, self.requested.rules),
            blocked=blocked_entries(signals, conditions, self.signal_rules),
        )

    def why_no_entry(self, rules: ExecutionRules) -> str:
        """Return one sentence on why `rules` led to no entry, for a run without one."""
        return why_no_entry(self.walk.signals, rules) or "There was no signal."


def plan_for(walk: WalkForward, window: Bars, rules: ExecutionRules) -> SignalPlan:
    """Return what an account with these rules knows at each close of `window`."""
    aligned = align_to_bars(walk.signals, window, rules.exit)
    return SignalPlan(
        signal=aligned["signal"],
        forecast_side=aligned["forecast_side"],
        exceeds_cost=aligned["supported"] & (aligned["expected_move"] > rules.round_trip_cost),
        decidable=aligned["decidable"],
        keep=aligned.get("keep"),
    )


def plan_of_sides(sides: SideArray) -> SignalPlan:
    """Return the plan of an account that takes each of `sides` whatever it costs."""
    always = np.ones(len(sides), dtype=np.bool_)
    return SignalPlan(signal=sides, forecast_side=sides, exceeds_cost=always, decidable=always)
