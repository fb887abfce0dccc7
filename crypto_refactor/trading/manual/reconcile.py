"""Compare ledger and broker by hand, accept the broker's figures, and take coins under the ledger's care."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from crypto_refactor.errors import BrokerError, UsageError
from crypto_refactor.execution.stepper import new_state
from crypto_refactor.execution.sub_account import Fill, SubAccount
from crypto_refactor.market.hours import floor_hour
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.price_text import price_text
from crypto_refactor.trading.account_status import ticker_status
from crypto_refactor.trading.brokers import Broker
from crypto_refactor.trading.ledger import AccountRow, Ledger
from crypto_refactor.trading.locks import locked
from crypto_refactor.trading.manual.close import require_same_account
from crypto_refactor.trading.orders.account_review import (
    ADOPTED,
    EXTERNAL,
    FEE_TOLERANCE,
    MIN_VALUE,
    review_start,
    unrecorded,
)
from crypto_refactor.trading.orders.executor import ExecutionResult
from crypto_refactor.trading.orders.reconciliation import PositionCheck
from crypto_refactor.trading.session import rules_from_snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingDifference:
    """One ticker for which ledger and broker name different quantities, in the base currency."""

    ticker: Ticker
    ledger: float
    broker: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What ledger and broker disagree on, and what was booked for it where a person accepted."""

    differences: tuple[HoldingDifference, ...]
    foreign_orders: tuple[str, ...]  # ids of orders of this tool that this ledger did not send
    booked: dict[Ticker, ExecutionResult]
    cash: float = 0.0  # of the ledger's sub-accounts, quote currency
    buying_power: float = 0.0  # at the broker, of the whole account
    accepted: float = (
        0.0  # of the cash, what was booked for coins that a person said are gone: it may not be there
    )

    @property
    def agrees(self) -> bool:
        """Whether there was nothing to accept."""
        return not self.differences and not self.foreign_orders

    @property
    def cash_missing(self) -> float:
        """Cash of the ledger that the broker does not have, and nothing explains; what fees make is none."""
        missing = self.cash - self.accepted - self.buying_power
        return missing if missing > max(FEE_TOLERANCE * self.cash, MIN_VALUE) else 0.0


def compare_with_broker(ledger: Ledger, row: AccountRow, broker: Broker, now: datetime) -> Reconciliation:
    """Compare holdings and recent orders; nothing changes.

    Raises
    ------
    BrokerError
        If the broker gives no usable answer, or the keys belong to another account.
    """
    require_same_account(broker, row.name)
    orders = broker.orders_since(review_start(ledger.review(row.name), now)).orders
    states = ledger.states(row.name)
    held = {ticker: state.account.quantity for ticker, state in states.items()}
    positions = broker.positions()
    differences = [
        HoldingDifference(ticker=ticker, ledger=own, broker=there)
        for ticker in sorted({*held, *positions})
        if _differs(
            own := held.get(ticker, 0.0),
            there := positions[ticker].quantity if ticker in positions else 0.0,
            _price(ledger, row.name, ticker)
            or (positions[ticker].average_price if ticker in positions else None),
        )
    ]
    return Reconciliation(
        differences=tuple(differences),
        foreign_orders=tuple(order.client_order_id for order in unrecorded(orders, ledger, row.name)),
        booked={},
        cash=sum(state.account.cash for state in states.values()),
        buying_power=broker.account().buying_power,
        accepted=sum(_accepted(ledger, row.name, ticker) for ticker in states),
    )


def _accepted(ledger: Ledger, account: str, ticker: Ticker) -> float:
    fills = ledger.fills(account, ticker)
    # What `--accept` books has no fee; a sale at Alpaca has one.
    return sum(fill.notional for fill in fills if fill.reason == EXTERNAL and not fill.fee)


def accept_broker(
    ledger: Ledger,
    state: Path,
    row: AccountRow,
    broker: Broker,
    tickers: Collection[Ticker] | None,
    now: datetime,
) -> Reconciliation:
    """Take the broker's holdings as they are: missing coins are booked as sold at the ledger's last price.

    Coins the ledger did not open stay what they are.  Orders of other ledgers up to now are accepted, so that this
    one may trade again.

    Raises
    ------
    BrokerError
        If the broker gives no usable answer, the keys belong to another account, or an order is unsettled.
    """
    found = compare_with_broker(ledger, row, broker, now)
    booked = {}
    for difference in found.differences:
        ticker = difference.ticker
        if (tickers is not None and ticker not in tickers) or difference.ledger <= difference.broker:
            continue
        with locked(state, row.name, ticker):
            booked[ticker] = _accept(ledger, row, broker, ticker, now)
    if tickers is None:
        ledger.record_review(row.name, now, accepted=True)
    return replace(found, booked=booked)


def _accept(
    ledger: Ledger, row: AccountRow, broker: Broker, ticker: Ticker, now: datetime
) -> ExecutionResult:
    if ledger.orders(row.name, ticker, unsettled=True):
        raise BrokerError(
            f"The outcome of an order for {ticker} is not known yet.",
            expected="every order to be settled before its position is accepted.",
            remedy="run a pass or `crypto-refactor close`, which look the order up, then accept.",
        )
    status = ticker_status(ledger, row.name, ticker)
    check = PositionCheck(
        broker=broker,
        ledger=ledger,
        account=row.name,
        ticker=ticker,
        rules=rules_from_snapshot(row.about, ticker),
    )
    return check.accept(status.account, broker.position(ticker), status.price, floor_hour(now), now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """Coins of the account to put under the ledger's care at a stated cost, the price of one coin."""

    ticker: Ticker
    cost: float
    quantity: float | None = None  # None for everything that no ledger holds


def adopt(
    ledger: Ledger,
    state: Path,
    row: AccountRow,
    broker: Broker,
    adoption: Adoption,
    clock: Callable[[], datetime],
) -> Fill:
    """Book coins that the account holds as bought by this ledger, at a stated cost and without a fee.

    An open sub-account pays for them with its cash; otherwise one is opened that holds them and nothing else.

    Raises
    ------
    UsageError
        If the cost or the quantity is not possible.
    BrokerError
        If the account does not hold so many that no ledger manages, or the sub-account cannot pay for them.
    """
    require_same_account(broker, row.name)
    ticker, cost, hour = adoption.ticker, adoption.cost, floor_hour(clock())
    if not 0 < cost < float("inf"):
        raise UsageError.invalid("--cost", cost, "the price of one coin, above 0")
    with locked(state, row.name, ticker):
        before = ledger.state(row.name, ticker)
        free = broker.position(ticker).quantity - (before.account.quantity if before else 0.0)
        quantity = free if adoption.quantity is None else adoption.quantity
        if not 0 < quantity <= free * (1 + 1e-9):
            raise BrokerError(
                f"The account holds {max(free, 0.0):.9g} {ticker.base} that this ledger does not manage, "
                f"not {quantity:.9g}.",
                expected="coins that are there to be adopted.",
                remedy="leave out --quantity to adopt all of them.",
            )
        held = before.account if before else SubAccount.open(quantity * cost)
        account = _with_coins(held, quantity, cost, hour, ticker)
        fill = Fill(at=hour, side=1, quantity=quantity, price=cost, fee=0.0, reason=ADOPTED)
        with ledger.transaction(row.name, ticker) as transaction:
            if before is None:
                transaction.open(new_state(quantity * cost, hour))
            transaction.record_fills((fill,), ())
            transaction.save_state(replace(before or new_state(quantity * cost, hour), account=account))
        ledger.record_review(row.name, clock(), ticker, accepted=True)
    return fill


def _with_coins(held: SubAccount, quantity: float, cost: float, hour: int, ticker: Ticker) -> SubAccount:
    if held.cash < quantity * cost - MIN_VALUE:
        raise BrokerError(
            f"{quantity:.9g} {ticker.base} at {price_text(cost)} cost {quantity * cost:,.2f}, and the sub-account has "
            f"{held.cash:,.2f} in cash.",
            expected="a cost that the sub-account can pay.",
            remedy="adopt a smaller --quantity, or state another --cost.",
        )
    total = held.quantity + quantity
    return held._replace(
        cash=max(held.cash - quantity * cost, 0.0),
        side=1,
        quantity=total,
        average_price=(held.quantity * held.average_price + quantity * cost) / total,
        entry_hour=held.entry_hour if held.side else hour,
    )


def _differs(own: float, there: float, price: float | None) -> bool:
    difference = abs(own - there)
    # What has no price, such as a gift, counts.
    return difference > FEE_TOLERANCE * max(own, there) and (not price or difference * price >= MIN_VALUE)


def _price(ledger: Ledger, account: str, ticker: Ticker) -> float | None:
    return None if ledger.state(account, ticker) is None else ticker_status(ledger, account, ticker).price
