"""How a trading run ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crypto_refactor.errors import EXIT_OK, UnavailableError, combined_exit_code
from crypto_refactor.trading.outcomes import Failure, TickerOutcome, TickerRow


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ended: a row per ticker, whether at least one succeeded, and the exit code of the whole."""

    rows: Sequence[TickerRow]
    succeeded: bool
    code: int = EXIT_OK

    @classmethod
    def of(cls, rows: Sequence[TickerRow], code: int = EXIT_OK) -> RunOutcome:
        """Return the outcome of these rows; raise UnavailableError where no ticker is offered."""
        if not any(isinstance(row, TickerOutcome | Failure) for row in rows):
            raise UnavailableError.for_all()
        return cls(rows=rows, succeeded=any(isinstance(row, TickerOutcome) for row in rows), code=code)

    @property
    def exit_code(self) -> int:
        """The code of the run as a whole, or else the one that its tickers combine to."""
        codes = [row.error.exit_code for row in self.rows if isinstance(row, Failure)]
        return self.code or combined_exit_code([*codes, EXIT_OK] if self.succeeded else codes)
