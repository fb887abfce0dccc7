"""The audit every backtest runs on itself.

It goes over a finished run with nothing but the bars: every step that could have looked ahead is taken
again from the bars that had closed by then, and every amount is added up again from the fills.

A run that is put together from the tool's own functions and one that is put together from the bars of the
past only agree to the last bit wherever no function knows more than it should.  What the audit cannot see
is a bar that its source has told wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto_refactor.backtest.audit.accounting import check_accounting
from crypto_refactor.backtest.audit.fills import check_fills
from crypto_refactor.backtest.audit.findings import AuditCheck, Difference
from crypto_refactor.backtest.audit.models import check_models
from crypto_refactor.backtest.audit.sample import real_closes, sampled_closes
from crypto_refactor.backtest.audit.signals import check_signals, check_start, recompute_closes

if TYPE_CHECKING:
    from crypto_refactor.backtest.backtester import BacktestResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the audit of one run found.

    Attributes
    ----------
    checks : tuple of AuditCheck
        ``signals``, ``models``, ``start``, ``fills`` and ``accounting``.
    bars_checked, bars : int
        Closes that were decided again, and real closes of the window.
    full : bool
        Whether every close was.
    """

    checks: tuple[AuditCheck, ...]
    bars_checked: int
    bars: int
    full: bool

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def first_difference(self) -> Difference | None:
        """The first thing the first failed check found."""
        return next((check.difference for check in self.checks if check.difference is not None), None)

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON."""
        difference = self.first_difference
        return {
            "passed": self.passed,
            "full": self.full,
            "bars": self.bars,
            "bars_checked": self.bars_checked,
            "checks": [check.to_dict() for check in self.checks],
            "first_difference": None if difference is None else difference.to_dict(),
        }


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
