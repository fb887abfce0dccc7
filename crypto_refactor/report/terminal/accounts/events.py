"""Which rows of a replay or a loop are worth a line, and the account as a whole in one line."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.formatting import money
from crypto_refactor.trading.outcomes import TickerOutcome, TickerRow


class HourEvents:
    """Tells the hours of a ticker in which something happens from those in which nothing does.

    What lasts, such as a gap or an entry that is refused, is an event when it begins.
    """

    def __init__(self) -> None:
        self._lasting: dict[Ticker, str] = {}

    def is_event(self, row: TickerRow) -> bool:
        """Whether this row, given in the order of hours, says something new."""
        if not isinstance(row, TickerOutcome):
            return True
        state = _lasting_state(row)
        begins = state is not None and self._lasting.get(row.ticker) != state
        self._lasting[row.ticker] = state or ""
        done = row.fills or row.orders or row.pending or row.notes
        return bool(begins or done or row.late or row.newly_halted)


def _lasting_state(outcome: TickerOutcome) -> str | None:
    """Return what keeps a ticker from being traded by its signal, without the figures of the hour."""
    if outcome.decision is None:
        return "not decided"
    if not len(outcome.decision.signals):
        return "bars are missing"
    side = 0 if outcome.sub_account is None else outcome.sub_account.side
    if outcome.target not in {0, side, None} and not outcome.pending:
        return f"refused {outcome.target}"
    return None


@dataclass(frozen=True, slots=True)
class Worth:
    """What a sub-account is worth, and its side."""

    equity: float
    side: int


@dataclass(slots=True)
class AccountTotals:
    """The sub-accounts of a run as their rows show them; those without a row yet keep what they began with."""

    parts: dict[Ticker, Worth] = field(default_factory=dict)

    def begin(self, parts: Mapping[Ticker, Worth]) -> None:
        """Take what each sub-account begins with."""
        self.parts = dict(parts)

    def take(self, row: TickerRow) -> None:
        """Take what a row shows of its sub-account."""
        if isinstance(row, TickerOutcome) and row.equity is not None and row.sub_account is not None:
            self.parts[row.ticker] = Worth(row.equity, row.sub_account.side)

    @property
    def equity_text(self) -> str:
        """The equity of all of them."""
        return f"equity {money(sum(part.equity for part in self.parts.values()))}"

    @property
    def positions_text(self) -> str:
        """How many of them hold a position."""
        held = sum(part.side != 0 for part in self.parts.values())
        return f"{held or 'no'} open position{'s' * (held > 1)}"
