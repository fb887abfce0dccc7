"""The probability of backtest overfitting: how often the best of several trials is below their median elsewhere.

D. H. Bailey, J. M. Borwein, M. Lopez de Prado and Q. J. Zhu, "The probability of backtest overfitting", Journal of
Computational Finance 20 (2017), section 2: combinatorially symmetric cross-validation.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np

from crypto_refactor.arrays import FloatArray

MAX_BLOCKS = 16
MIN_BLOCKS = 8
"""Fewer leave fewer than 70 splits, which share too much to count."""
MIN_BLOCK_HOURS = 24
"""Hourly returns follow the day."""
_SPLITS_AT_ONCE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Overfitting:
    """How the best trial of one half of the hours did on the other half, over many splits into halves.

    Attributes
    ----------
    probability : float or None
        Share of the splits whose best trial in sample was below the median of all out of sample; exactly at the median
        counts half.  Noise gives 0.5, a trial that is truly better 0.
    median_logit : float or None
        Median over the splits of ``ln(w / (1 - w))``, with w the rank of that trial out of sample over trials + 1: above
        0 for the upper half.
    trials : int
        Number of different series of returns.
    blocks, splits : int or None
        Into how many blocks of consecutive hours these were cut, and how many splits that gives.
    why_none : str or None
        Why there is no probability.
    """

    probability: float | None = None
    median_logit: float | None = None
    trials: int
    blocks: int | None = None
    splits: int | None = None
    why_none: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON."""
        return asdict(self)


def overfitting(returns: Sequence[FloatArray], *, blocks: int = MAX_BLOCKS) -> Overfitting:
    """Estimate the probability that choosing the best of several trials by Sharpe ratio overfits.

    The hours are cut into an even number of blocks, every half of which is in sample once, with the other half out of
    sample.  Fewer blocks than `blocks` are used where one would be shorter than a day.  Equal series are one trial.  Half
    of the hours without any return has the Sharpe ratio 0.  Trials that tie in sample are chosen in equal parts.

    Parameters
    ----------
    returns : sequence of ndarray of float64, shape (n,)
        Hourly returns of each trial, over the same hours.
    blocks : int
        Even, 2 or more.

    Returns
    -------
    Overfitting
        Without a probability, and with the reason, for fewer than two different trials or too few hours.
    """
    if blocks < 2 or blocks % 2:
        raise ValueError(f"blocks is {blocks}: it is even, 2 or more")
    # Sorted, so that the order of the trials changes no bit of any sum.
    table = np.unique(np.array(returns, dtype=np.float64), axis=0).T if len(returns) else np.empty((0, 0))
    hours, trials = table.shape
    if trials < 2:
        return Overfitting(trials=trials, why_none="it takes two trials that traded differently")
    most = hours // MIN_BLOCK_HOURS // 2 * 2
    if most < min(MIN_BLOCKS, blocks):
        needed = min(MIN_BLOCKS, blocks) * MIN_BLOCK_HOURS
        return Overfitting(trials=trials, why_none=f"it takes {needed} hours, and there are {hours}")
    used = min(blocks, most)
    below, logits = _splits(table, used)
    return Overfitting(
        probability=float(below.mean()),
        median_logit=float(np.median(logits)),
        trials=trials,
        blocks=used,
        splits=len(below),
    )


def _splits(table: FloatArray, blocks: int) -> tuple[FloatArray, FloatArray]:
    """Return for each split whether its best trial is below the median out of sample, and that trial's logit."""
    parts = np.array_split(table, blocks)
    counts = np.array([len(part) for part in parts], dtype=np.float64)
    sums = np.stack([part.sum(axis=0) for part in parts])
    squares = np.stack([(part * part).sum(axis=0) for part in parts])
    chosen = np.zeros((math.comb(blocks, blocks // 2), blocks))
    for row, half in enumerate(combinations(range(blocks), blocks // 2)):
        chosen[row, list(half)] = 1
    below, logits = [], []
    for first in range(0, len(chosen), _SPLITS_AT_ONCE):
        inside = chosen[first : first + _SPLITS_AT_ONCE]
        in_sample = _sharpe(inside @ counts, inside @ sums, inside @ squares)
        outside = 1 - inside
        out_of_sample = _sharpe(outside @ counts, outside @ sums, outside @ squares)
        for best, elsewhere in zip(in_sample, out_of_sample, strict=True):
            ranks = _ranks_of(elsewhere, np.flatnonzero(best == best.max()))
            share = ranks / (len(elsewhere) + 1)
            below.append(float(np.mean((share < 0.5) + 0.5 * (share == 0.5))))
            logits.append(float(np.mean(np.log(share / (1 - share)))))
    return np.array(below), np.array(logits)


def _sharpe(count: FloatArray, total: FloatArray, squares: FloatArray) -> FloatArray:
    """Return hourly Sharpe ratios, shape (splits, trials); 0 for returns that do not vary."""
    mean = total / count[:, None]
    variance = (squares - mean * total) / (count[:, None] - 1)
    # What is left of a flat series is rounding, far below any return that a trade makes.
    varies = variance > 1e-24
    return np.divide(mean, np.sqrt(np.where(varies, variance, 1)), out=np.zeros_like(mean), where=varies)


def _ranks_of(values: FloatArray, which: np.ndarray) -> FloatArray:
    """Return the ranks of `which` among `values`, 1 for the lowest; ties share the mean of their ranks."""
    lower = (values[None, :] < values[which][:, None]).sum(axis=1)
    equal = (values[None, :] == values[which][:, None]).sum(axis=1)
    return np.asarray(lower + (equal + 1) / 2, dtype=np.float64)
