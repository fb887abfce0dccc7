"""Accounting: one ticker's sub-account and what a fill does to it.  Values in, values out."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

from crypto_refactor.execution.rules import HOURS_PER_YEAR, ExecutionRules
from crypto_refactor.market.hours import to_iso

MIN_ENTRY = 0.01
"""Nothing is entered for less money, quote currency: a cent is the smallest amount that anybody is shown."""


class SubAccount(NamedTuple):
    """The state of one ticker's sub-account between two fills."""

    cash: float  # quote currency; includes the proceeds of a short
    peak_equity: float  # from which the drawdown halt is measured
    side: int = 0  # 1 long, -1 short, 0 flat; what rounding has left over (dust) counts as flat
    quantity: float = 0.0  # base currency, negative when short; includes dust
    average_price: float = 0.0  # average cost of the quantity, before fees
    open_fees: float = 0.0  # fees and borrow charged for the quantity that no trade includes yet
    entry_hour: int = 0  # of the entry fill, while not flat
    blocked_side: int = 0  # stopped out or closed, and not re-entered until the target changes; 0 if none
    halted: bool = False  # the drawdown halt has struck
    ruined: bool = False  # a short has used up the equity

    @classmethod
    def open(cls, balance: float) -> Self:
        """Return a new sub-account."""
        return cls(cash=balance, peak_equity=balance)

    def equity(self, price: float) -> float:
        """Return cash plus the position's value at `price`."""
        return self.cash + self.quantity * price


class Fill(NamedTuple):
    """One executed order."""

    at: int  # hour of execution
    side: int  # 1 bought, -1 sold
    quantity: float  # base currency
    price: float  # quote currency, slippage included
    fee: float  # quote currency
    reason: str  # ``entry`` or the reason of the exit

    @property
    def notional(self) -> float:
        """Value of the fill in the quote currency."""
        return self.quantity * self.price

    def to_dict(self) -> dict[str, Any]:
        """Return the fill as JSON documents show it."""
        return {**self._asdict(), "at": to_iso(self.at)}


class Trade(NamedTuple):
    """A position from entry to exit, or marked at the end if it is still open.

    ``gross_pnl = direction * (exit_price - entry_price) * quantity``, ``net_pnl = gross_pnl - fees``;
    fees include both legs and borrow.  `exit_reason` ``open`` and ``dust`` mark what was not sold.
    """

    direction: int
    entry_hour: int
    entry_price: float
    exit_hour: int
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
        return self.exit_hour - self.entry_hour

    @property
    def closed(self) -> bool:
        """Whether the position was really closed, and so counts in the win rate and the like."""
        return self.exit_reason not in {"open", "dust"}


def merged_exits(trades: Iterable[Trade]) -> tuple[Trade, ...]:
    """Return trades in which the orders of one exit are one trade, at the average price of what they sold."""
    merged: list[Trade] = []
    for trade in trades:
        last = merged[-1] if merged else None
        if last is None or _exit_of(last) != _exit_of(trade):
            merged.append(trade)
            continue
        quantity = last.quantity + trade.quantity
        proceeds = last.exit_price * last.quantity + trade.exit_price * trade.quantity
        merged[-1] = last._replace(
            quantity=quantity, exit_price=proceeds / quantity, fees=last.fees + trade.fees
        )
    return tuple(merged)


def _exit_of(trade: Trade) -> tuple[object, ...]:
    return trade.direction, trade.entry_hour, trade.entry_price, trade.exit_hour, trade.exit_reason


def open_position(
    account: SubAccount, side: int, fraction: float, price: float, at: int, rules: ExecutionRules
) -> tuple[SubAccount, Fill | None]:
    """Open a position with `fraction` of the cash at the market price `price`.

    Returns the account unchanged and None where less than a cent would be entered, a quantity of 0 would be ordered
    or the venue would not accept the order.
    """
    price *= 1 + side * rules.slippage
    money = fraction * account.cash
    if rules.max_notional is not None:
        money = min(money, rules.max_notional)
    if money < MIN_ENTRY:
        return account, None
    ordered, received, paid = _size(side, money, price, rules)
    if ordered <= 0:
        return account, None
    if rules.venue is not None and not (
        # What could not be sold again must not be bought.
        money >= rules.venue.min_buy
        and rules.venue.accepts(ordered, price)
        and rules.venue.accepts(rules.venue.round_down(received), price)
    ):
        return account, None
    fee = rules.fee * ordered * price
    account = _book_entry(account, side, received=received, paid=paid, price=price, fee=fee, at=at)
    return account, Fill(at=at, side=side, quantity=ordered, price=price, fee=fee, reason="entry")


def _book_entry(
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
        entry_hour=at,
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

    A short that the account could not afford to buy back is closed at the price that leaves exactly
    nothing, reason ``ruin``.  Where the venue does not accept the order, nothing happens.
    """
    side, venue = account.side, rules.venue
    price *= 1 - side * rules.slippage
    size = abs(account.quantity)
    sold = size if venue is None else venue.round_down(size)
    if venue is not None and not venue.accepts(sold, price):
        return account, None, None
    if side < 0 and account.cash - sold * price * (1 + rules.fee) <= 0:
        return _ruin(account, at, rules)
    fee = rules.fee * sold * price
    cash = account.cash + side * sold * price - fee
    return _book_exit(account, cash=cash, sold=sold, price=price, fee=fee, at=at, reason=reason)


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
    account, fill, trade = _book_exit(
        account, cash=0.0, sold=quantity, price=price, fee=fee, at=at, reason="ruin"
    )
    return account._replace(ruined=True), fill, trade


def _book_exit(
    account: SubAccount, *, cash: float, sold: float, price: float, fee: float, at: int, reason: str
) -> tuple[SubAccount, Fill, Trade]:
    size = abs(account.quantity)
    share = 1.0 if sold == size else sold / size
    trade = Trade(
        direction=account.side,
        entry_hour=account.entry_hour,
        entry_price=account.average_price,
        exit_hour=at,
        exit_price=price,
        quantity=sold,
        fees=account.open_fees * share + fee,
        exit_reason=reason,
    )
    rest = 0.0 if sold == size else size - sold
    after = account._replace(
        cash=cash,
        side=0,
        quantity=rest,
        average_price=account.average_price if rest else 0.0,
        open_fees=account.open_fees * (1 - share) if rest else 0.0,
    )
    return after, Fill(at=at, side=-account.side, quantity=sold, price=price, fee=fee, reason=reason), trade


def book_buy(
    account: SubAccount, quantity: float, price: float, at: int, rules: ExecutionRules
) -> tuple[SubAccount, Fill]:
    """Book a purchase of `quantity`, before the fee, that a venue has executed in a flat account.

    The fee is taken in what is received.  What could not be sold again is dust, which joins the next position.
    """
    fee = rules.fee * quantity * price
    account = _book_entry(
        account, 1, received=quantity * (1 - rules.fee), paid=quantity * price, price=price, fee=fee, at=at
    )
    if not _sellable(account, price, rules):
        account = account._replace(side=0)
    return account, Fill(at=at, side=1, quantity=quantity, price=price, fee=fee, reason="entry")


def book_sell(
    account: SubAccount, quantity: float, price: float, at: int, reason: str, rules: ExecutionRules
) -> tuple[SubAccount, Fill, Trade]:
    """Book a sale, of the whole position or of a part, that a venue has executed.

    The rest stays a position if it could be sold, and is dust otherwise.
    """
    side, quantity = account.side, min(quantity, account.quantity)
    fee = rules.fee * quantity * price
    cash = account.cash + quantity * price - fee
    account, fill, trade = _book_exit(
        account, cash=cash, sold=quantity, price=price, fee=fee, at=at, reason=reason
    )
    if side and account.quantity and _sellable(account, price, rules):
        account = account._replace(side=side)
    return account, fill, trade


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
    """Return what the account still holds as a trade ``open`` or ``dust``, marked at `price`."""
    if not account.quantity:
        return None
    return Trade(
        direction=1 if account.quantity > 0 else -1,
        entry_hour=account.entry_hour,
        entry_price=account.average_price,
        exit_hour=at,
        exit_price=price,
        quantity=abs(account.quantity),
        fees=account.open_fees,
        exit_reason="open" if account.side else "dust",
    )
