"""The audit that every backtest runs on itself.

It recomputes each decision from only the bars that had closed by then, and each amount from the fills: any difference is
look-ahead, or an account that does not add up.  Wrong prices in the source cannot be detected.
"""

from crypto_refactor.backtest.audit.accounting import check_accounting
from crypto_refactor.backtest.audit.fills import check_fills
from crypto_refactor.backtest.audit.look_ahead import check_signals, check_start, recompute_closes
from crypto_refactor.backtest.audit.models import check_models
from crypto_refactor.backtest.audit.retraining import check_retraining
from crypto_refactor.backtest.audit.sample import real_closes, sample_of
from crypto_refactor.backtest.audit_findings import Audit
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.model.training.parallel import TrainingObserver


def audit_account(result: BacktestResult) -> Audit:
    """Check fills and accounts alone: what is left of an audit where another run with the same decisions has passed one."""
    return Audit(
        checks=(check_fills(result, []), check_accounting(result)),
        bars_checked=0,
        bars=len(real_closes(result)),
        full=False,
        limit_of_detection=1.0,
    )


def audit(result: BacktestResult, *, full: bool = False, retrain: TrainingObserver | None = None) -> Audit:
    """Check that a run used nothing of the future and that its accounts add up.

    `full` recomputes every close, not a sample of them.  Cards of models, fills and accounts are always checked
    completely.  With an observer `retrain`, which receives the progress, one model is trained again and compared.
    """
    sample = sample_of(result, full=full)
    recomputed = recompute_closes(result, sample.closes)
    checks = [
        check_signals(recomputed, sample),
        check_models(result),
        check_start(result, sample.closes),
        check_fills(result, recomputed),
        check_accounting(result),
    ]
    if retrain is not None:
        checks.append(check_retraining(result, retrain))
    return Audit(
        checks=tuple(checks),
        bars_checked=len(recomputed),
        bars=sample.real_closes,
        full=full,
        limit_of_detection=sample.limit_of_detection,
    )
