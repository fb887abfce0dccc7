"""Alpaca's trading JSON: orders to it, and account, assets, positions and orders from it.

Alpaca writes numbers as text.  Anything that is not as documented raises `ValueError`, `TypeError` or
`KeyError`; the caller decides what that means.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any

from crypto_refactor.errors import BrokerError, UsageError
from crypto_refactor.execution.venues import ALPACA_MAX_ORDER, ALPACA_MIN_BUY, ALPACA_MIN_SALE, VenueRules
from crypto_refactor.market.hours import parse_instant
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers.base import (
    ID_PREFIX,
    AccountSnapshot,
    Execution,
    FeeCharge,
    NotTradedError,
    OrderList,
    OrderRefusedError,
    OrderReport,
    OrderRequest,
    OrderState,
    Position,
)

_CENTS = Decimal("0.01")
_NINE_DECIMALS = Decimal("1e-9")
_EXACT = Context(prec=400)  # every finite float has fewer digits
_PLAIN = re.compile(r"\d{1,30}(\.\d{1,30})?")
_MIN_AMOUNT, _MAX_AMOUNT = 1e-18, 1e18
_SIDES = {"buy": 1, "sell": -1}
_FEES = frozenset({"CFEE", "FEE"})
# Final is what can no longer be executed.  `done_for_day`, `stopped`, `suspended`, `calculated` and any status
# that Alpaca may add count as open: waiting too long is better than trading twice.
_ENDED = frozenset({"canceled", "expired", "rejected", "replaced"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One pair of Alpaca's asset list, with its order rules where Alpaca states them."""

    ticker: Ticker
    symbol: str
    active: bool
    tradable: bool
    increment: float | None
    min_quantity: float | None

    @property
    def position_symbol(self) -> str:
        """The symbol without a slash, which positions use."""
        return _without_slash(self.symbol)


def _without_slash(symbol: str) -> str:
    # For comparing: removing the slash is unambiguous, inserting one is not.
    return symbol.replace("/", "").upper()


def to_ticker(symbol: str) -> Ticker | None:
    """Parse BTC/USD; None for anything that is not of this form."""
    try:
        return Ticker.parse(symbol)
    except UsageError:
        return None


def same_pair(symbol: str, ticker: Ticker) -> Ticker | None:
    """Return `ticker` if `symbol` is either of its forms."""
    return ticker if _without_slash(symbol) == _without_slash(str(ticker)) else None


def order_fields(request: OrderRequest) -> dict[str, str]:
    """Return the JSON of a market order, immediate or cancel, with numbers as plain decimal text.

    Money is rounded down to cents, a quantity down to nine decimals.

    Raises
    ------
    OrderRefusedError
        If the amount rounds down to 0.
    """
    name, amount, step = (
        ("notional", request.notional, _CENTS)
        if request.side > 0
        else ("qty", request.quantity, _NINE_DECIMALS)
    )
    rounded = Decimal(repr(float(amount or 0.0))).quantize(step, rounding=ROUND_DOWN, context=_EXACT)
    if not rounded:
        raise OrderRefusedError(
            f"An order of {amount!r} for {request.ticker} is too small to send.",
            expected=f"at least {step:f}.",
            remedy="nothing was sent, and nothing needs to be done.",
        )
    return {
        "symbol": str(request.ticker),
        name: f"{_EXACT.normalize(rounded):f}",
        "side": "buy" if request.side > 0 else "sell",
        "type": "market",
        "time_in_force": "ioc",
        "client_order_id": request.client_order_id,
    }


def parse_account(content: Any, *, paper: bool) -> AccountSnapshot:
    """Parse the account; crypto is bought with money that is not borrowed."""
    return AccountSnapshot(
        account_id=_text(content["id"]),
        buying_power=_number(content["non_marginable_buying_power"]),
        equity=_number(content["equity"]),
        blocked=_blocked(content, paper=paper),
    )


def _blocked(content: Any, *, paper: bool) -> str | None:
    reasons = []
    if content["status"] != "ACTIVE" and not (paper and content["status"] == "PAPER_ONLY"):
        reasons.append(f"the account's status is {content['status']}")
    if content.get("crypto_status") != "ACTIVE":
        reasons.append(f"its crypto status is {content.get('crypto_status')}")
    flags = {
        "account_blocked": "the account is blocked",
        "trading_blocked": "trading is blocked",
        "trade_suspended_by_user": "trading is suspended in the account's own settings",
    }
    reasons += [reason for flag, reason in flags.items() if content.get(flag)]
    return ", ".join(reasons) or None


def parse_assets(content: Any) -> tuple[Asset, ...]:
    """Parse the asset list; what is not a pair is left out.  A list without any pair is no asset list."""
    if not isinstance(content, list):
        raise TypeError
    rows = ((to_ticker(_text(row["symbol"])), row) for row in content)
    assets = tuple(
        Asset(
            ticker=ticker,
            symbol=row["symbol"],
            active=row["status"] == "active",
            tradable=row["tradable"] is True,
            increment=_optional_number(row.get("min_trade_increment")),
            min_quantity=_optional_number(row.get("min_order_size")),
        )
        for ticker, row in rows
        if ticker is not None
    )
    if not assets:
        raise ValueError
    return assets


def to_rules(asset: Asset) -> VenueRules:
    """Return the order rules of `asset`.

    Raises
    ------
    NotTradedError
        If it is retired.
    BrokerError
        If it cannot be traded now, or Alpaca does not state its rules.
    """
    if asset.ticker.quote != "USD":
        raise NotTradedError(
            f"{asset.ticker} is paid for in {asset.ticker.quote}, and the budget is in USD.",
            expected="a pair quoted in USD.",
            remedy="leave this ticker out.",
        )
    if not (asset.active and asset.tradable):
        # A retired asset stays so; one that is only not tradable may return.
        kind = BrokerError if asset.active else NotTradedError
        raise kind(
            f"Alpaca does not trade {asset.ticker} now.",
            expected="a ticker that is active and tradable in its asset list.",
            remedy="leave this ticker out, or try again later.",
        )
    if not (asset.increment and asset.min_quantity and min(asset.increment, asset.min_quantity) > 0):
        raise BrokerError(
            f"Alpaca's asset list states no order rules for {asset.ticker}.",
            expected="min_order_size and min_trade_increment above 0.",
            remedy="leave this ticker out, or try again later.",
        )
    return VenueRules(
        name="alpaca",
        increment=asset.increment,
        min_quantity=asset.min_quantity,
        min_notional=ALPACA_MIN_SALE,
        min_buy=ALPACA_MIN_BUY,
        max_notional=ALPACA_MAX_ORDER,
        as_of="live",
    )


def parse_position(content: Any, asset: Asset) -> Position:
    """Parse the position of `asset`, matched by symbol: ids of positions and assets may differ."""
    if content["asset_class"] != "crypto" or _without_slash(content["symbol"]) != asset.position_symbol:
        raise ValueError
    return _position(content, asset.ticker)


def _position(content: Any, ticker: Ticker) -> Position:
    quantity, available = _amount(content["qty"]), _number_rounded_down(content["qty_available"])
    if available < 0:
        raise ValueError
    return Position(
        ticker=ticker,
        quantity=quantity,
        available=min(available, quantity),
        average_price=_optional_number(content.get("avg_entry_price")) or None,
    )


def parse_listed_position(content: Any, asset: Asset) -> Position:
    """Find the position of `asset` in the list of all; one that is not in it is 0."""
    if not isinstance(content, list):
        raise TypeError
    crypto = [row for row in content if row["asset_class"] == "crypto"]
    rows = [row for row in crypto if _without_slash(row["symbol"]) == asset.position_symbol]
    if not rows:
        return Position(ticker=asset.ticker, quantity=0.0, available=0.0, average_price=None)
    (row,) = rows
    return parse_position(row, asset)


def parse_order(
    content: Any, to_ticker: Callable[[str], Ticker | None], client_order_id: str | None = None
) -> OrderReport:
    """Parse one order, which must have this id if one is given; `to_ticker` resolves its symbol."""
    ticker = to_ticker(_text(content["symbol"]))
    if ticker is None or client_order_id not in {None, content["client_order_id"]}:
        raise ValueError
    filled = _amount(content["filled_qty"])
    price = _amount(content["filled_avg_price"]) if filled > 0 else None
    state = _state(_text(content["status"]), filled)
    if (price is not None and price <= 0) or (state is OrderState.FILLED and not filled):
        raise ValueError
    return OrderReport(
        client_order_id=_text(content["client_order_id"]),
        broker_order_id=_text(content["id"]),
        ticker=ticker,
        side=_SIDES[content["side"]],
        state=state,
        filled_quantity=filled,
        average_price=price,
        notional=_optional_amount(content.get("notional")),
        quantity=_optional_amount(content.get("qty")),
        created_at=_stamp(content["created_at"]),
        at=_stamp(content["updated_at"]),
        detail=content["status"],
    )


def parse_orders(content: Any, to_ticker: Callable[[str], Ticker | None]) -> OrderList:
    """Parse a list of orders; those for anything but crypto pairs are left out.

    An order of another tool that cannot be read costs a note; one of this tool costs the whole list.
    """
    if not isinstance(content, list):
        raise TypeError
    orders, notes = [], []
    for row in content:
        try:
            if row["asset_class"] == "crypto" and to_ticker(row["symbol"]) is not None:
                orders.append(parse_order(row, to_ticker))
        except (ValueError, TypeError, KeyError, ArithmeticError):
            if not isinstance(row, dict) or not isinstance(row.get("client_order_id"), str):
                raise
            if row["client_order_id"].startswith(ID_PREFIX):
                raise
            notes.append(f"order {row['client_order_id'][:64]!r} of another tool cannot be read: skipped")
    return OrderList(orders=tuple(orders), notes=tuple(notes))


def parse_executions(content: Any, to_ticker: Callable[[str], Ticker | None]) -> tuple[Execution, ...]:
    """Parse a list of ``FILL`` activities; those for anything but crypto pairs are left out."""
    if not isinstance(content, list):
        raise TypeError
    rows = ((to_ticker(_text(row["symbol"])), row) for row in content if row["activity_type"] == "FILL")
    return tuple(
        Execution(
            broker_order_id=_text(row["order_id"]),
            ticker=ticker,
            side=1 if row["side"] == "buy" else -1,
            quantity=_amount(row["qty"]),
            price=_amount(row["price"]),
            at=_stamp(row["transaction_time"]),
        )
        for ticker, row in rows
        if ticker is not None
    )


def parse_fees(content: Any, to_ticker: Callable[[str], Ticker | None]) -> tuple[FeeCharge, ...]:
    """Parse a list of ``CFEE`` and ``FEE`` activities; those for anything but crypto pairs are left out.

    Coins stand in ``qty`` and money in ``net_amount``, both negative.
    """
    if not isinstance(content, list):
        raise TypeError
    rows = [row for row in content if row["activity_type"] in _FEES and row.get("symbol")]
    known = ((to_ticker(_text(row["symbol"])), row) for row in rows)
    return tuple(
        FeeCharge(
            ticker=ticker,
            coins=max(-(_optional_number(row.get("qty")) or 0.0), 0.0),
            money=max(-(_optional_number(row.get("net_amount")) or 0.0), 0.0),
            at=_stamp(row["transaction_time"])
            if row.get("transaction_time")
            else _stamp(f"{_text(row['date'])}T23:59:59Z"),
        )
        for ticker, row in known
        if ticker is not None
    )


def parse_positions(content: Any, to_ticker: Callable[[str], Ticker | None]) -> dict[Ticker, Position]:
    """Parse the list of all positions; those in anything but crypto pairs are left out."""
    if not isinstance(content, list):
        raise TypeError
    rows = ((to_ticker(_text(row["symbol"])), row) for row in content if row["asset_class"] == "crypto")
    positions = [(ticker, _position(row, ticker)) for ticker, row in rows if ticker is not None]
    if len(dict(positions)) != len(positions):
        raise ValueError
    return dict(positions)


def _state(status: str, filled: float) -> OrderState:
    if status == "filled":
        return OrderState.FILLED
    if status in _ENDED:
        return OrderState.PARTLY_FILLED if filled > 0 else OrderState.UNFILLED
    return OrderState.OPEN


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _stamp(value: Any) -> str:
    return parse_instant(value).strftime("%Y-%m-%dT%H:%M:%SZ")


def _amount(value: Any) -> float:
    """Parse an amount of coins or money, or a price: plain, finite and not negative."""
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        raise ValueError
    number = _number(value)
    if not (number == 0 or _MIN_AMOUNT <= number <= _MAX_AMOUNT):
        raise ValueError
    return number


def _optional_amount(value: Any) -> float | None:
    return None if value is None else _amount(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _optional_number(value: Any) -> float | None:
    return None if value is None else _number(value)


def _number_rounded_down(value: Any) -> float:
    """Return the largest float that is not above the number: a sale never exceeds what is available."""
    number = _number(value)
    while Decimal(repr(number)) > Decimal(str(value)):
        number = math.nextafter(number, -math.inf)
    return number
