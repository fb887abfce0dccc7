"""Debug statistics: what blocked signals, how features correlate with returns, how large entries were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.backtest.walk_forward import PeriodSignals, WalkForward
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import Fill
from crypto_refactor.features.catalogue import INDICATORS
from crypto_refactor.market.bars import Bars
from crypto_refactor.model.dataset import labelled_rows
from crypto_refactor.model.schedule import training_rows
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.sides import Side
from crypto_refactor.signals.conditions import CONDITIONS, FORECAST, SignalFrame, SignalRules

NOISE_SIGMAS = 2.0
MAX_ENTRY_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionFigures:
    """How often a condition holds, and how often it stood in the way.

    Attributes
    ----------
    long_pass_rate, short_pass_rate : float or None
        Share of decided bars.
    vetoes : int
        Bars on which the forecast held, confirmations fell short and this condition did not hold.
    """

    long_pass_rate: float | None
    short_pass_rate: float | None
    vetoes: int


def condition_figures(made: SignalFrame, rules: SignalRules) -> dict[str, ConditionFigures]:
    """Return the figures of each condition over all decided bars."""
    held = made.held
    fell_short = held[:, 0] & (made.confirmations < rules.min_confirmations)
    count = len(made)
    return {
        name: ConditionFigures(
            long_pass_rate=float(made.long[:, column].mean()) if count else None,
            short_pass_rate=float(made.short[:, column].mean()) if count else None,
            vetoes=int((fell_short & ~held[:, column]).sum()) if name != FORECAST else 0,
        )
        for column, name in enumerate(CONDITIONS)
    }


def signal_counts(made: SignalFrame) -> dict[str, int]:
    """Return how many decided bars were long, flat and short."""
    return {side.label: int((made.signal == side).sum()) for side in Side}


def blocked_entries(made: SignalFrame, rules: SignalRules) -> str:
    """Return one sentence on why there were no signals, or so few."""
    count = len(made)
    beyond = int(made.held[:, 0].sum())
    if not count:
        return "No bar could be decided on."
    if not beyond:
        return f"`forecast` held back every bar: none of {count} forecasts exceeded its threshold."
    figures = condition_figures(made, rules)
    worst = sorted(CONDITIONS[1:], key=lambda name: -figures[name].vetoes)[:3]
    text = ", ".join(f"`{name}` on {figures[name].vetoes}" for name in worst if figures[name].vetoes)
    passed = int((made.signal != 0).sum())
    return (
        f"The forecast exceeded its threshold on {beyond} of {count} bars; {passed} of them had "
        f"{rules.min_confirmations} of 9 confirmations" + (f" (missing most often: {text})." if text else ".")
    )


def why_no_entry(made: SignalFrame, rules: ExecutionRules) -> str | None:
    """Return one sentence on why signals were there and no position was opened; None without signals."""
    signals = int((made.signal != 0).sum())
    if not signals:
        return None
    usable = made.signal == 1 if rules.long_only else made.signal != 0
    if not usable.any():
        return f"All {signals} signals were short, and shorts are not opened here."
    exceeds_cost = made.supported & (made.expected_move > rules.round_trip_cost)
    if rules.strict and not (usable & exceeds_cost).any():
        return f"--strict let none of the {int(usable.sum())} signals in: no expected move exceeded its round trip."
    return "No entry was filled: the signals came on the last bar, before a hole, or below the minimum order."


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureCorrelation:
    """Correlation of one feature with the next return.

    Attributes
    ----------
    train, out_of_sample : float or None
        Pearson's r with log(close[t+1] / close[t]); None where either is constant.
    noise : float or None
        Two standard errors of r out of sample where there is nothing to find, 2 / sqrt(n).
    """

    train: float | None
    out_of_sample: float | None
    noise: float | None


def feature_correlations(
    stretches: Sequence[PeriodSignals], settings: ModelSettings, *, pinned: bool = False
) -> dict[str, FeatureCorrelation]:
    """Correlate each feature with the next return, on training bars and out of sample.

    A pinned model's training bars lie outside the run: its `train` is None.
    """
    inputs, returns = _pairs_out_of_sample(stretches, settings)
    if pinned:
        train_inputs, train_returns = np.zeros((0, len(INDICATORS))), np.zeros(0)
    else:
        train_inputs, train_returns = _pairs_trained_on(stretches, settings)
    noise = NOISE_SIGMAS / float(np.sqrt(len(returns))) if len(returns) else None
    return {
        name: FeatureCorrelation(
            train=_pearson(train_inputs[:, column], train_returns),
            out_of_sample=_pearson(inputs[:, column], returns),
            noise=noise,
        )
        for column, name in enumerate(INDICATORS)
    }


def _pairs_out_of_sample(
    stretches: Sequence[PeriodSignals], settings: ModelSettings
) -> tuple[FloatArray, FloatArray]:
    inputs, returns = [], []
    for stretch in stretches:
        frame, bars = stretch.period.frame, stretch.period.frame.bars
        rows = labelled_rows(frame, settings.lookback)
        rows = rows[bars.closed[rows] >= stretch.period.first]
        inputs.append(frame.inputs[rows])
        returns.append(np.log(bars.close[rows + 1] / bars.close[rows]))
    return np.concatenate(inputs), np.concatenate(returns)


def _pairs_trained_on(
    stretches: Sequence[PeriodSignals], settings: ModelSettings
) -> tuple[FloatArray, FloatArray]:
    """Return the training rows of all periods; consecutive ones overlap, and each row counts once."""
    seen: dict[int, tuple[FloatArray, float]] = {}
    for stretch in stretches:
        data = training_rows(stretch.period, settings)
        bars = stretch.period.frame.bars
        hours = bars.opened[np.searchsorted(bars.opened, data.trained_from) + data.rows]
        for hour, row, value in zip(hours.tolist(), data.rows.tolist(), data.returns.tolist(), strict=True):
            seen[hour] = (data.inputs[row], value)
    inputs = np.array([pair[0] for pair in seen.values()], dtype=np.float64)
    return inputs, np.array([pair[1] for pair in seen.values()])


def _pearson(x: FloatArray, y: FloatArray) -> float | None:
    if len(x) < 2 or x.std() == 0 or y.std() == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySizes:
    """How large entries were beside what was traded in their bar.

    Attributes
    ----------
    entries : int
        How many.
    largest_share : float or None
        Largest entry notional over the bar's traded value; None where nothing was traded in it.
    above_limit : int
        Entries above 5 % of it, the untraded bars included: the market would have moved.
    """

    entries: int
    largest_share: float | None
    above_limit: int


def entry_sizes(fills: Sequence[Fill], bars: Bars) -> EntrySizes:
    """Compare entries with the value traded in the bar they were filled in."""
    entries = [fill for fill in fills if fill.reason == "entry"]
    rows = np.searchsorted(bars.opened, [fill.at for fill in entries])
    traded = bars.volume[rows] * bars.close[rows]
    notional = np.array([fill.notional for fill in entries])
    shares = np.divide(notional, traded, out=np.full(len(entries), np.inf), where=traded > 0)
    finite = shares[np.isfinite(shares)]
    return EntrySizes(
        entries=len(entries),
        largest_share=float(finite.max()) if len(finite) else None,
        above_limit=int((shares > MAX_ENTRY_SHARE).sum()),
    )


def entries_beyond_cost(fills: Sequence[Fill], made: SignalFrame, rules: ExecutionRules) -> int:
    """Return how many entries expected a move that exceeds the cost of their round trip."""
    decided = np.searchsorted(made.made_at, [fill.at for fill in fills if fill.reason == "entry"])
    return int((made.expected_move[decided] > rules.round_trip_cost).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """All debug statistics of one backtest.

    Attributes
    ----------
    signals : dict of str to int
        Number of ``long``, ``flat`` and ``short`` signals.
    conditions : dict of str to ConditionFigures
        Rates and vetoes of each condition.
    correlations : dict of str to FeatureCorrelation
        Correlation of each feature with the next return.
    entries : EntrySizes
        Entries of the requested account beside the traded value of their bar.
    entries_beyond_cost : int
        Entries whose expected move exceeded the cost of the round trip.
    blocked : str
        One sentence on why there were no signals, or so few.
    """

    signals: dict[str, int]
    conditions: dict[str, ConditionFigures]
    correlations: dict[str, FeatureCorrelation]
    entries: EntrySizes
    entries_beyond_cost: int
    blocked: str

    @classmethod
    def of(
        cls,
        walk: WalkForward,
        window: Bars,
        fills: Sequence[Fill],
        *,
        settings: ModelSettings,
        signal_rules: SignalRules,
        rules: ExecutionRules,
        pinned: bool,
    ) -> Diagnostics:
        """Compute the diagnostics of a walk-forward whose signals led to `fills`."""
        signals = walk.signals
        return cls(
            signals=signal_counts(signals),
            conditions=condition_figures(signals, signal_rules),
            correlations=feature_correlations(walk.stretches, settings, pinned=pinned),
            entries=entry_sizes(fills, window),
            entries_beyond_cost=entries_beyond_cost(fills, signals, rules),
            blocked=blocked_entries(signals, signal_rules),
        )
