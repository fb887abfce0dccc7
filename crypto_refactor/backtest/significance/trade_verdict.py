"""The verdict on trades: whether entries are timed better than chance, and whether that paid."""

from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.backtest.significance.earlier_trials import EarlierTrials
from crypto_refactor.backtest.significance.forecast_verdict import (
    BELOW_COST,
    DETECTABLE_ERRORS,
    ERRORS,
    EVIDENCE,
    FALSE_POSITIVE_RATE,
    RULED_OUT,
    UNDECIDED,
    PartVerdict,
)
from crypto_refactor.backtest.significance.summary import Significance

MIN_TRADES = 30


def trade_verdict(
    metrics: Metrics, significance: Significance, earlier: EarlierTrials | None = None
) -> PartVerdict:
    """Judge what was traded.

    Skill is that at most 2 % of random entries do as well; it pays if the true Sharpe ratio is above 0 with 98 %, or
    above what the best of the `earlier` trials and this one would reach by chance.  A paying edge is ruled out if it is
    below 0 with 98 %.
    """
    error = metrics.sharpe_se
    if metrics.sharpe is None or not error or not metrics.trades:
        return PartVerdict(code=UNDECIDED, text="undecided: nothing was traded", detectable=None)
    detectable = DETECTABLE_ERRORS * error
    chance, entry = significance.probabilistic_sharpe, significance.random_entry
    measured = f"Sharpe ratio {metrics.sharpe:+.1f} ± {error:.1f} after costs"
    shown = f"a true one of {detectable:.1f} would be found in 80 of 100 such runs"
    if metrics.trades < MIN_TRADES or chance is None or entry is None:
        few = f"{metrics.trades} of at least {MIN_TRADES} closed trades"
        return PartVerdict(
            code=UNDECIDED, text=f"undecided: {few}; {measured}; {shown}", detectable=detectable
        )
    timed = f"{entry.p * 100:.1f} % of random entries do as well or better"
    if entry.p <= FALSE_POSITIVE_RATE:
        deflated = None if earlier is None else earlier.deflated(metrics)
        pays = chance if deflated is None else deflated
        code = EVIDENCE if pays >= 1 - FALSE_POSITIVE_RATE else BELOW_COST
        words = "evidence of timing that pays" if code == EVIDENCE else "timing, not shown to exceed its cost"
        return PartVerdict(code=code, text=f"{words}: {timed}; {measured}", detectable=detectable)
    if chance <= FALSE_POSITIVE_RATE:
        bound = f"a Sharpe ratio of at most {metrics.sharpe + ERRORS * error:.1f} (98 %)"
        text = f"an edge of these trades that pays is ruled out: {bound}; {timed}"
        return PartVerdict(code=RULED_OUT, text=text, detectable=detectable)
    return PartVerdict(code=UNDECIDED, text=f"undecided: {timed}; {measured}; {shown}", detectable=detectable)
