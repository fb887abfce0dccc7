"""Debug statistics: what blocked signals, how features correlate with returns, how large entries were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray, SideArray
from crypto_refactor.backtest.walk_forward import PeriodSignals
from crypto_refactor.correlation import hourly_pearson, pearson
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import Fill
from crypto_refactor.market.bars import Bars
from crypto_refactor.model.dataset import labelled_rows
from crypto_refactor.model.schedule import training_rows
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.sides import Side
from crypto_refactor.signals.condition_catalogue import FORECAST
from crypto_refactor.signals.conditions import SignalFrame, SignalRules

NOISE_SIGMAS = 2.0
MAX_ENTRY_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """All debug statistics of one backtest: of its signals, their conditions, its features and its entries."""

    signals: dict[str, int]  # by "long", "flat" and "short"
    conditions: dict[str, ConditionFigures]
    correlations: dict[str, FeatureCorrelation]
    entries: EntrySizes  # of the requested account
    entries_beyond_cost: int
    blocked: str  # one sentence on why there were no signals, or so few


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionFigures:
    """How often a condition was met, as a share of the decided bars, and how often it blocked a signal.

    It blocks where the forecast exceeds its threshold, confirmations are too few and the condition is not met.  It
    `held` on so many closes for one side alone, or, if it is the same for both sides, for that of the forecast; on
    `right` of them, a share, the next close lay on that side.  It `agrees` with so large a share of the forecasts beyond
    their threshold.
    """

    long_pass_rate: float | None
    short_pass_rate: float | None
    vetoes: int
    held: int
    right: float | None
    agrees: float | None


def condition_figures(signals: SignalFrame, rules: SignalRules, window: Bars) -> dict[str, ConditionFigures]:
    """Return the figures of each condition over all decided bars; `window` holds the outcomes."""
    met = signals.conditions_met
    too_few = met[:, 0] & (signals.confirmations < rules.min_confirmations)
    count, strong = len(signals), met[:, 0]
    outcome = _next_side(signals, window)
    return {
        name: ConditionFigures(
            long_pass_rate=float(signals.long[:, column].mean()) if count else None,
            short_pass_rate=float(signals.short[:, column].mean()) if count else None,
            vetoes=int((too_few & ~met[:, column]).sum()) if name != FORECAST else 0,
            **_own_record(signals, column, outcome),
            agrees=float(met[strong, column].mean()) if strong.any() else None,
        )
        for column, name in enumerate(signals.conditions)
    }


def _next_side(signals: SignalFrame, window: Bars) -> SideArray:
    """Return whether the next close lay above (1) or below (-1) each decided one; 0 where it did not, or is not real."""
    after = np.minimum(np.searchsorted(window.closed, signals.decided_at + 1), len(window) - 1)
    real = (window.closed[after] == signals.decided_at + 1) & ~(window.synthetic | window.held)[after]
    return np.where(real, np.sign(window.close[after] - signals.close), 0).astype(np.int8)


def _own_record(signals: SignalFrame, column: int, outcome: SideArray) -> dict[str, Any]:
    long, short = signals.long[:, column], signals.short[:, column]
    side = np.where(long & short, signals.forecast_side, long.astype(np.int8) - short.astype(np.int8))
    scored = (side != 0) & (outcome != 0)
    right = float((side == outcome)[scored].mean()) if scored.any() else None
    return {"held": int(scored.sum()), "right": right}


def signal_counts(signals: SignalFrame) -> dict[str, int]:
    """Return how many decided bars were long, flat and short."""
    return {side.label: int((signals.signal == side).sum()) for side in Side}


def blocked_entries(
    signals: SignalFrame, conditions: Mapping[str, ConditionFigures], rules: SignalRules
) -> str:
    """Return one sentence on why there were no signals, or so few."""
    count = len(signals)
    exceeded = int(signals.conditions_met[:, 0].sum())
    if not count:
        return "No bar could be decided on."
    if not exceeded:
        return f"`forecast` blocked every bar: none of {count} forecasts exceeded its threshold."
    vetoes = {name: figures.vetoes for name, figures in conditions.items()}
    worst = sorted(signals.conditions[1:], key=lambda name: -vetoes[name])[:3]
    text = ", ".join(f"`{name}` on {vetoes[name]}" for name in worst if vetoes[name])
    passed = int((signals.signal != 0).sum())
    return (
        f"The forecast exceeded its threshold on {exceeded} of {count} bars; {passed} of them had "
        f"{rules.min_confirmations} of {len(signals.conditions) - 1} confirmations"
        + (f" (missing most often: {text})." if text else ".")
    )


def why_no_entry(signals: SignalFrame, rules: ExecutionRules) -> str | None:
    """Return one sentence on why no signal opened a position; None without signals."""
    count = int((signals.signal != 0).sum())
    if not count:
        return None
    usable = signals.signal == 1 if rules.long_only else signals.signal != 0
    if not usable.any():
        return f"All {count} signals were short, and this account does not sell short."
    exceeds_cost = signals.supported & (signals.expected_move > rules.round_trip_cost)
    if rules.strict and not (usable & exceeds_cost).any():
        return f"--strict blocked all {int(usable.sum())} signals: no expected move exceeded the cost of its round trip."
    return "No entry was filled: the signals came on the last bar, before a gap, or below the minimum order size."


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureCorrelation:
    """Pearson's r of one feature with the next return, log(close[t+1] / close[t]); None if either is constant."""

    train: float | None
    out_of_sample: float | None
    noise: float | None  # two standard errors out of sample, clustered by day; None below ten days

    @property
    def beyond_noise(self) -> bool:
        """Whether the correlation out of sample is larger than noise."""
        if self.out_of_sample is None or self.noise is None:
            return False
        return abs(self.out_of_sample) > self.noise


def feature_correlations(
    parts: Sequence[PeriodSignals], settings: ModelSettings, *, pinned: bool = False
) -> dict[str, FeatureCorrelation]:
    """Correlate each feature with the next return, on training bars and out of sample.

    The training bars of a pinned model lie outside the run: its `train` is None.
    """
    inputs, returns, hours = _out_of_sample_pairs(parts, settings)
    names = parts[0].period.frame.names
    train_inputs, train_returns = np.zeros((0, len(names))), np.zeros(0)
    if not pinned:
        train_inputs, train_returns = _training_pairs(parts, settings)
    found = {}
    for column, name in enumerate(names):
        out_of_sample = hourly_pearson(inputs[:, column], returns, hours)
        found[name] = FeatureCorrelation(
            train=pearson(train_inputs[:, column], train_returns),
            out_of_sample=out_of_sample.value,
            noise=None if out_of_sample.se is None else NOISE_SIGMAS * out_of_sample.se,
        )
    return found


def _out_of_sample_pairs(
    parts: Sequence[PeriodSignals], settings: ModelSettings
) -> tuple[FloatArray, FloatArray, HourArray]:
    inputs, returns, hours = [], [], []
    for part in parts:
        frame, bars = part.period.frame, part.period.frame.bars
        rows = labelled_rows(frame, settings.lookback)
        rows = rows[bars.closed[rows] >= part.period.first]
        inputs.append(frame.inputs[rows])
        returns.append(np.log(bars.close[rows + 1] / bars.close[rows]))
        hours.append(bars.closed[rows])
    return np.concatenate(inputs), np.concatenate(returns), np.concatenate(hours)


def _training_pairs(parts: Sequence[PeriodSignals], settings: ModelSettings) -> tuple[FloatArray, FloatArray]:
    """Return the training rows of all periods; consecutive spans overlap, and each hour counts once."""
    by_hour: dict[int, tuple[FloatArray, float]] = {}
    for part in parts:
        data = training_rows(part.period, settings)
        for hour, row, value in zip(
            data.closed.tolist(), data.rows.tolist(), data.returns.tolist(), strict=True
        ):
            by_hour[hour] = (data.inputs[row], value)
    inputs = np.array([pair[0] for pair in by_hour.values()], dtype=np.float64)
    return inputs, np.array([pair[1] for pair in by_hour.values()])


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySizes:
    """How large entries were beside the value traded in their bar."""

    entries: int
    largest_share: float | None  # of the traded value; None if nothing was traded in any of the bars
    above_limit: int  # above 5 % of it, untraded bars included: they would have moved the market


def entry_sizes(fills: Sequence[Fill], bars: Bars) -> EntrySizes:
    """Compare entries with the value traded in the bar of their fill."""
    spent: dict[int, float] = {}
    for fill in fills:
        if fill.reason == "entry":  # whose money may be spent in several orders
            spent[fill.at] = spent.get(fill.at, 0.0) + fill.notional
    entries, notional = list(spent), np.array(list(spent.values()), dtype=np.float64)
    rows = np.searchsorted(bars.opened, entries)
    traded = bars.volume[rows] * bars.close[rows]
    shares = np.divide(notional, traded, out=np.full(len(entries), np.inf), where=traded > 0)
    finite = shares[np.isfinite(shares)]
    return EntrySizes(
        entries=len(entries),
        largest_share=float(finite.max()) if len(finite) else None,
        above_limit=int((shares > MAX_ENTRY_SHARE).sum()),
    )


def entries_beyond_cost(fills: Sequence[Fill], signals: SignalFrame, rules: ExecutionRules) -> int:
    """Return how many entries expected a move that exceeds the cost of their round trip."""
    hours = sorted({fill.at for fill in fills if fill.reason == "entry"})
    rows = np.searchsorted(signals.decided_at, hours)
    return int((signals.expected_move[rows] > rules.round_trip_cost).sum())
