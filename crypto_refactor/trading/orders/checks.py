"""What must hold before an order leaves, and before what the broker says of it is believed."""

from collections.abc import Callable
from datetime import datetime, timedelta

from crypto_refactor.errors import DataError
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.price_text import price_text
from crypto_refactor.trading.brokers import OrderReport, OrderState
from crypto_refactor.trading.ledger import OrderRecord

DEPARTURE_SECONDS = 300
"""An entry leaves within this time of its decision, by the wall clock, or lapses."""
DEFAULT_MAX_DEVIATION = 0.02
"""How far the price may be from the close of a decision when its entry leaves."""
_STAMP_TOLERANCE = timedelta(minutes=10)
"""By which the broker's clock and this machine's may differ in an order's time of creation."""
_VALUE_TOLERANCE = 0.01
"""By which the money spent may miss the money ordered: the broker turns it into coins at a price of its own."""
_QUANTITY_TOLERANCE = 2e-9
_CENT = 0.01
_BUY_BAND, _SALE_BAND = 0.25, 0.5
"""How far from the close of its decision an order may fill.  A sale goes in a crash as well."""

CurrentPrice = Callable[[Ticker], float | None]
"""Returns the newest price since the last close, None where there is none; raises DataError."""


def lapse_reason(
    order: OrderRecord, now: datetime, current_price: CurrentPrice, *, max_deviation: float
) -> str | None:
    """Return why an entry must not leave any more; None where it may.  Exits always may."""
    if not order.is_entry or not order.is_bar_leg:
        return None
    if order.decided_at:
        age = (now - datetime.fromisoformat(order.decided_at)).total_seconds()
        if not -_STAMP_TOLERANCE.total_seconds() <= age <= DEPARTURE_SECONDS:
            return f"it was decided {age / 60:.0f} minutes ago, and an entry leaves within {DEPARTURE_SECONDS // 60}"
    if order.decided_price is None:
        return None
    try:
        price = current_price(order.ticker)
    except DataError as error:
        return f"no current price confirms its decision: {error.what}"
    if price is not None and abs(price / order.decided_price - 1) > max_deviation:
        return (
            f"the price is {price_text(price)}, {abs(price / order.decided_price - 1):.1%} from the close of "
            f"{price_text(order.decided_price)} it was decided at, and --max-deviation allows {max_deviation:.1%}"
        )
    return None


def is_plausible_sale(price: float, close: float | None) -> bool:
    """Whether coins may have been sold at `price` where they cost `close` now."""
    return close is None or abs(price / close - 1) <= _SALE_BAND


def misfit(order: OrderRecord, report: OrderReport, now: datetime) -> str | None:
    """Return what in the broker's report cannot be true of `order`; None where everything fits."""
    if (report.ticker, report.side) != (order.ticker, order.side):
        return f"it is for {report.ticker}, side {report.side}"
    return _amount_misfit(order, report) or _time_misfit(order, report, now) or _fill_misfit(order, report)


def _amount_misfit(order: OrderRecord, report: OrderReport) -> str | None:
    if report.notional is None and report.quantity is None:
        return "it names no amount"
    if order.notional is not None and report.notional is not None:
        if abs(report.notional - order.notional) > _CENT:
            return f"it is for {report.notional:,.2f}, and {order.notional:,.2f} was ordered"
    elif order.quantity is not None and (
        report.quantity is None or abs(report.quantity - order.quantity) > _QUANTITY_TOLERANCE
    ):
        return f"it is for {report.quantity} {order.ticker.base}, and {order.quantity:.9g} was ordered"
    return None


def _time_misfit(order: OrderRecord, report: OrderReport, now: datetime) -> str | None:
    created = datetime.fromisoformat(report.created_at)
    earliest = datetime.fromisoformat(order.decided_at or order.sent_at) - _STAMP_TOLERANCE
    if order.decided_at and not earliest <= created <= now + _STAMP_TOLERANCE:
        return f"it was created at {report.created_at}, and decided at {order.decided_at}"
    return None


def _fill_misfit(order: OrderRecord, report: OrderReport) -> str | None:
    filled, price = report.filled_quantity, report.average_price
    if not filled or price is None:
        return None
    band = _BUY_BAND if order.is_entry else _SALE_BAND
    if order.decided_price is not None and abs(price / order.decided_price - 1) > band:
        return f"its price of {price_text(price)} is more than {band:.0%} from the close of {price_text(order.decided_price)}"
    if order.notional is not None:
        amount, ordered, tolerance = filled * price, order.notional, order.notional * _VALUE_TOLERANCE + _CENT
    else:
        assert order.quantity is not None, "an order names money or an amount"
        amount, ordered, tolerance = filled, order.quantity, _QUANTITY_TOLERANCE
    if amount > ordered + tolerance:
        return f"it executed {amount:.9g} of {ordered:.9g}"
    if report.state is OrderState.FILLED and amount < ordered - tolerance:
        return f"it is called filled, and executed {amount:.9g} of {ordered:.9g}"
    return None
