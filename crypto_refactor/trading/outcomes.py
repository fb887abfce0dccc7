"""What one pass found and did for one ticker."""

from __future__ import annotations

from dataclasses import dataclass

from crypto_refactor.errors import CryptoRefactorError
from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.decider import ModelDecision
from crypto_refactor.trading.ledger.order_record import OrderRecord


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TickerOutcome:
    """One ticker at one bar.

    Attributes
    ----------
    ticker : Ticker
        Which.
    simulated : bool
        Whether the bars come from the bundled simulation.
    account : str or None
        Where it was acted; None where only signals were asked for.
    bar : int
        Close of the bar, hours since 1970.
    decided : ModelDecision or None
        What the model said; None where nobody was asked.
    target : int or None
        The side wanted; None where nothing was decided.
    orders : tuple of OrderRecord
        Sent to a broker, as they ended.
    fills, trades : tuple
        Executed in this pass.
    holding : SubAccount or None
        The sub-account afterwards.
    pending : tuple of str
        Decided and to be filled at the next open, in words.
    price : float
        Close of the bar.
    acted : bool
        Whether this pass made the decision of this bar for the account.
    newly_halted : bool
        Whether the drawdown has halted entries at this bar.
    late : bool
        Whether it was made more than ten minutes after the close.
    reason : str
        Why it came out this way, one sentence.
    notes : tuple of str
        What else a person should know.
    """

    ticker: Ticker
    simulated: bool
    account: str | None
    bar: int
    decided: ModelDecision | None
    target: int | None
    orders: tuple[OrderRecord, ...] = ()
    fills: tuple[Fill, ...] = ()
    trades: tuple[Trade, ...] = ()
    holding: SubAccount | None
    pending: tuple[str, ...] = ()
    price: float
    acted: bool
    late: bool = False
    newly_halted: bool = False
    reason: str
    notes: tuple[str, ...] = ()

    @property
    def equity(self) -> float | None:
        """Of the sub-account at the bar's close price, quote currency."""
        return None if self.holding is None else self.holding.equity(self.price)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A ticker for which a pass ended in an error."""

    ticker: Ticker
    error: CryptoRefactorError


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """A listed ticker that the source, or the venue, does not offer."""

    ticker: Ticker
    why: str


TickerRow = TickerOutcome | Failure | Unavailable
"""What a pass says of one ticker."""
