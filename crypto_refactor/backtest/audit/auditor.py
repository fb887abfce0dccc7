"""The audit every backtest runs on itself.

It goes over a finished run with nothing but the bars: every step that could have looked ahead is taken
again from the bars that had closed by then, and every amount is added up again from the fills.

A run that is put together from the tool's own functions and one that is put together from the bars of the
past only agree to the last bit wherever no function knows more than it should.  What the audit cannot see
is a bar that its source has told wrongly.
"""

from __future__ import annotations

from crypto_refactor.backtest.audit.accounting import check_accounting
from crypto_refactor.backtest.audit.fills import check_fills
from crypto_refactor.backtest.audit.findings import Audit
from crypto_refactor.backtest.audit.models import check_models
from crypto_refactor.backtest.audit.sample import real_closes, sampled_closes
from crypto_refactor.backtest.audit.signals import check_signals, check_start, recompute_closes
from crypto_refactor.backtest.result import BacktestResult


def audit(result: BacktestResult, *, full: bool = False) -> Audit:
    """Check that a run has seen nothing of the future and that its account adds up.

    Parameters
    ----------
    result : BacktestResult
        The run.
    full : bool
        Decide every close again, not a sample of them.  The models, the fills and the accounting are always
        checked whole.
    """
    closes = real_closes(result)
    hours = closes if full else sampled_closes(result)
    replayed = recompute_closes(result, hours)
    checks = (
        check_signals(replayed, len(closes)),
        check_models(result),
        check_start(result, hours),
        check_fills(result, replayed),
        check_accounting(result),
    )
    return Audit(checks=checks, bars_checked=len(replayed), bars=len(closes), full=full)
