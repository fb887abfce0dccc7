"""Accounting: one ticker's sub-account and what a fill does to it.  Values in, values out."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from crypto_refactor.execution.rules import HOURS_PER_YEAR, ExecutionRules
from crypto_refactor.market.hours import to_iso


class SubAccount(NamedTuple):
    """The state of one ticker's sub-account between two fills.

    Attributes
    ----------
    cash : float
        Quote currency; the proceeds of a short are in it.
    side : int
        1 long, -1 short, 0 flat.  What rounding left behind (dust) counts as flat.
    quantity : float
        Base currency held, negative when short; dust included.
    average_price : float
        Average cost of `quantity`, before fees.
    open_fees : float
        Fees and borrow charged for `quantity` and not yet part of a trade.
    entered : int
        Hour of the entry fill, while not flat.
    stopped_side : int
        Side that was stopped out and may not be entered again until the target changes; 0 if none.
    peak_equity : float
        Highest equity so far, which the drawdown halt is measured from.
    halted, ruined : bool
        Whether the drawdown halt has struck, and whether a short has used up the equity.
    """

    cash: float
    peak_equity: float
    side: int = 0
    quantity: float = 0.0
    average_price: float = 0.0
    open_fees: float = 0.0
    entered: int = 0
    stopped_side: int = 0
    halted: bool = False
    ruined: bool = False

    @classmethod
    def opened_with(cls, balance: float) -> Self:
        """Return a fresh sub-account."""
        return cls(cash=balance, peak_equity=balance)

    def equity(self, price: float) -> float:
        """Return cash plus the position's value at `price`."""
        return self.cash + self.quantity * price


class Fill(NamedTuple):
    """One executed order.

    Attributes
    ----------
    at : int
        Hour of execution.
    side : int
        1 bought, -1 sold.
    quantity, price, fee : float
        Base currency; quote currency per unit, slippage included; quote currency.
    reason : str
        ``entry`` or the reason of the exit.
    """

    at: int
    side: int
    quantity: float
    price: float
    fee: float
    reason: str

    @property
    def notional(self) -> float:
        """Value of the fill in the quote currency."""
        return self.quantity * self.price

    def to_dict(self) -> dict[str, Any]:
        """Return the fill as JSON documents show it."""
        return {**self._asdict(), "at": to_iso(self.at)}


class Trade(NamedTuple):
    """A position from entry to exit, or marked where it was still held at the end.

    ``gross_pnl = direction * (exit_price - entry_price) * quantity``, ``net_pnl = gross_pnl - fees``;
    fees hold both legs and borrow.  `exit_reason` ``open`` and ``dust`` mark what was not sold.
    """

    direction: int
    entered: int
    entry_price: float
    exited: int
    exit_price: float
    quantity: float
    fees: float
    exit_reason: str

    @property
    def gross_pnl(self) -> float:
        """Profit before fees, in the quote currency."""
        return self.direction * (self.exit_price - self.entry_price) * self.quantity

    @property
    def net_pnl(self) -> float:
        """Profit after fees, in the quote currency."""
        return self.gross_pnl - self.fees

    @property
    def net_return(self) -> float:
        """Net profit as a fraction of the entry notional."""
        return self.net_pnl / (self.entry_price * self.quantity)

    @property
    def bars_held(self) -> int:
        """Hours from entry to exit."""
        return self.exited - self.entered

    @property
    def closed(self) -> bool:
        """Whether the position was really left, and so counts in win rate and the like."""
        return self.exit_reason not in {"open", "dust"}


def open_position(
    account: SubAccount, side: int, fraction: float, price: float, at: int, rules: ExecutionRules
) -> tuple[SubAccount, Fill | None]:
    """Open a position with `fraction` of the cash at the market price `price`.

    Returns
    -------
    account : SubAccount
        After the fill; unchanged where the order is below the venue's minimum.
    fill : Fill or None
        None where nothing was ordered.
    """
    price *= 1 + side * rules.slippage
    money = fraction * account.cash
    if rules.max_notional is not None:
        money = min(money, rules.max_notional)
    if money <= 0:
        return account, None
    ordered, received, paid = _size(side, money, price, rules)
    if rules.venue is not None and not (
        # What could not be sold again must not be bought.
        rules.venue.accepts(ordered, price) and rules.venue.accepts(rules.venue.round_down(received), price)
    ):
        return account, None
    fee = rules.fee * ordered * price
    entered = _entered(account, side, received=received, paid=paid, price=price, fee=fee, at=at)
    return entered, Fill(at=at, side=side, quantity=ordered, price=price, fee=fee, reason="entry")


def _entered(
    account: SubAccount, side: int, *, received: float, paid: float, price: float, fee: float, at: int
) -> SubAccount:
    quantity = account.quantity + side * received
    cost = abs(account.quantity) * account.average_price + received * price
    return account._replace(
        cash=account.cash - paid,
        side=side,
        quantity=quantity,
        # Without dust the price itself: dividing the cost by the quantity may miss it by a rounding error.
        average_price=cost / abs(quantity) if account.quantity else price,
        open_fees=account.open_fees + fee,
        entered=at,
    )


def _size(side: int, money: float, price: float, rules: ExecutionRules) -> tuple[float, float, float]:
    """Return (quantity ordered, quantity received, cash paid; negative for a short's proceeds)."""
    if rules.venue is None:
        quantity = money / (price * (1 + rules.fee))
        return quantity, quantity, quantity * price * (side + rules.fee)
    quantity = rules.venue.round_down(money / price)
    return quantity, quantity * (1 - rules.fee), quantity * price


def close_position(
    account: SubAccount, price: float, at: int, reason: str, rules: ExecutionRules
) -> tuple[SubAccount, Fill | None, Trade | None]:
    """Close the whole position at the market price `price`.

    A short that could not be bought back with what the account holds is closed at the price that leaves
    exactly nothing, reason ``ruin``.  Where the venue does not accept the order, nothing happens.
    """
    side, venue = account.side, rules.venue
    price *= 1 - side * rules.slippage
    held = abs(account.quantity)
    sold = held if venue is None else venue.round_down(held)
    if venue is not None and not venue.accepts(sold, price):
        return account, None, None
    if side < 0 and account.cash - sold * price * (1 + rules.fee) <= 0:
        return _ruin(account, at, rules)
    fee = rules.fee * sold * price
    cash = account.cash + side * sold * price - fee
    return _closed(account, cash=cash, sold=sold, price=price, fee=fee, at=at, reason=reason)


def ruin_if_spent(
    account: SubAccount, price: float, at: int, rules: ExecutionRules
) -> tuple[SubAccount, Fill | None, Trade | None]:
    """Close a short whose equity at `price` is 0 or less, at the price that makes it exactly 0."""
    if account.side < 0 and account.equity(price) <= 0:
        return _ruin(account, at, rules)
    return account, None, None


def _ruin(account: SubAccount, at: int, rules: ExecutionRules) -> tuple[SubAccount, Fill, Trade]:
    quantity = abs(account.quantity)
    price = account.cash / (quantity * (1 + rules.fee))
    fee = account.cash - quantity * price
    closed, fill, trade = _closed(
        account, cash=0.0, sold=quantity, price=price, fee=fee, at=at, reason="ruin"
    )
    return closed._replace(ruined=True), fill, trade


def _closed(
    account: SubAccount, *, cash: float, sold: float, price: float, fee: float, at: int, reason: str
) -> tuple[SubAccount, Fill, Trade]:
    held = abs(account.quantity)
    share = 1.0 if sold == held else sold / held
    trade = Trade(
        direction=account.side,
        entered=account.entered,
        entry_price=account.average_price,
        exited=at,
        exit_price=price,
        quantity=sold,
        fees=account.open_fees * share + fee,
        exit_reason=reason,
    )
    left = 0.0 if sold == held else held - sold
    closed = account._replace(
        cash=cash,
        side=0,
        quantity=left,
        average_price=account.average_price if left else 0.0,
        open_fees=account.open_fees * (1 - share) if left else 0.0,
    )
    return closed, Fill(at=at, side=-account.side, quantity=sold, price=price, fee=fee, reason=reason), trade


def book_buy(
    account: SubAccount, quantity: float, price: float, at: int, rules: ExecutionRules
) -> tuple[SubAccount, Fill]:
    """Book a purchase that a venue has executed, its fee taken in what is received.

    What could not be sold again is dust, which joins the next position.

    Parameters
    ----------
    account : SubAccount
        Flat, dust aside.
    quantity : float
        Executed, before the fee.
    price : float
        Paid on average.
    at : int
        Hour of the execution.
    rules : ExecutionRules
        State the fee.
    """
    fee = rules.fee * quantity * price
    entered = _entered(
        account, 1, received=quantity * (1 - rules.fee), paid=quantity * price, price=price, fee=fee, at=at
    )
    if not _sellable(entered, price, rules):
        entered = entered._replace(side=0)
    return entered, Fill(at=at, side=1, quantity=quantity, price=price, fee=fee, reason="entry")


def book_sell(
    account: SubAccount, quantity: float, price: float, at: int, reason: str, rules: ExecutionRules
) -> tuple[SubAccount, Fill, Trade]:
    """Book a sale that a venue has executed, of all that is held or of a part.

    What is left stays a position where it could be sold, and is dust where it could not.
    Parameters are those of `book_buy`; `reason` is that of the exit.
    """
    quantity = min(quantity, account.quantity)
    fee = rules.fee * quantity * price
    cash = account.cash + quantity * price - fee
    closed, fill, trade = _closed(
        account, cash=cash, sold=quantity, price=price, fee=fee, at=at, reason=reason
    )
    if account.side and closed.quantity and _sellable(closed, price, rules):
        closed = closed._replace(side=account.side)
    return closed, fill, trade


def _sellable(account: SubAccount, price: float, rules: ExecutionRules) -> bool:
    venue = rules.venue
    return venue is None or venue.accepts(venue.round_down(account.quantity), price)


def charge_borrow(account: SubAccount, price: float, rules: ExecutionRules) -> SubAccount:
    """Charge one hour of borrow on the notional of a short, at the bar's close `price`."""
    if account.side >= 0 or rules.borrow == 0:
        return account
    # Nothing is lent, so no more than the cash can be charged; what is missing is ruin at this close.
    cost = min(abs(account.quantity) * price * rules.borrow / HOURS_PER_YEAR, account.cash)
    return account._replace(cash=account.cash - cost, open_fees=account.open_fees + cost)


def mark_open(account: SubAccount, price: float, at: int) -> Trade | None:
    """Return the row of what is still held at the end, marked at `price`: ``open``, ``dust`` or none."""
    if not account.quantity:
        return None
    return Trade(
        direction=1 if account.quantity > 0 else -1,
        entered=account.entered,
        entry_price=account.average_price,
        exited=at,
        exit_price=price,
        quantity=abs(account.quantity),
        fees=account.open_fees,
        exit_reason="open" if account.side else "dust",
    )
