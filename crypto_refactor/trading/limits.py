"""Limits of a user on an account as a whole: losses, positions and orders, checked before every entry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

from crypto_refactor.errors import UsageError
from crypto_refactor.market.hours import floor_hour
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger import Ledger, OrderStatus

_HOURS_PER_DAY = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLimits:
    """What the account as a whole may lose and do; None where there is no limit.  Exits are never limited."""

    max_daily_loss: float | None = None  # since 00:00 UTC, quote currency
    max_loss: float | None = None  # since the sub-accounts were opened, quote currency
    max_positions: int | None = None
    max_orders: int | None = None  # entries and exits since 00:00 UTC

    def __post_init__(self) -> None:
        for name, least in (("max_daily_loss", 0), ("max_loss", 0), ("max_positions", 1), ("max_orders", 1)):
            value = getattr(self, name)
            if value is not None and not (value > 0 and least <= value < float("inf")):
                option = "--max-orders-per-day" if name == "max_orders" else "--" + name.replace("_", "-")
                expected = "a whole number of 1 or more" if least else "an amount above 0"
                raise UsageError.invalid(option, value, expected, example="1" if least else "100")


class LimitGuard:
    """Checks `limits` for one account.  Threads may share it."""

    def __init__(
        self, limits: AccountLimits, ledger: Ledger, account: str, clock: Callable[[], datetime]
    ) -> None:
        self._limits = limits
        self._ledger = ledger
        self._account = account
        self._clock = clock
        self._lock = Lock()
        self._admitted: set[Ticker] = set()

    def begin_pass(self, prices: Mapping[Ticker, float]) -> str | None:
        """Return why the account may enter nothing, at the latest closes where they are known."""
        with self._lock:
            self._admitted.clear()
        limits = self._limits
        if limits.max_loss is None and limits.max_daily_loss is None:
            return None
        midnight = floor_hour(self._clock()) // _HOURS_PER_DAY * _HOURS_PER_DAY
        equity = opened = yesterday = 0.0
        for ticker, state in self._ledger.states(self._account).items():
            curve = self._ledger.equity(self._account, ticker)  # the opening balance first
            account, price = state.account, prices.get(ticker)
            last = curve[-1][1] if account.quantity else account.cash
            equity += last if price is None else account.equity(price)
            opened += curve[0][1]
            yesterday += next((value for bar, value in reversed(curve) if bar <= midnight), curve[0][1])
        if limits.max_loss is not None and opened - equity >= limits.max_loss:
            return f"the account has lost {opened - equity:,.2f}, and --max-loss is {limits.max_loss:,.2f}"
        if limits.max_daily_loss is not None and yesterday - equity >= limits.max_daily_loss:
            return (
                f"the account has lost {yesterday - equity:,.2f} since 00:00 UTC, and --max-daily-loss is "
                f"{limits.max_daily_loss:,.2f}"
            )
        return None

    def admit(self, ticker: Ticker) -> str | None:
        """Return why `ticker` may not be entered now; None counts it as entered in this pass."""
        with self._lock:
            why = self._positions_reason(ticker) or self._orders_reason()
            if why is None:
                self._admitted.add(ticker)
            return why

    def _positions_reason(self, ticker: Ticker) -> str | None:
        limit = self._limits.max_positions
        if limit is None:
            return None
        held = {
            other
            for other, state in self._ledger.states(self._account).items()
            if state.account.side or self._ledger.orders(self._account, other, unsettled=True)
        }
        count = len((held | self._admitted) - {ticker})
        return f"{count} positions are open, and --max-positions is {limit}" if count >= limit else None

    def _orders_reason(self) -> str | None:
        limit = self._limits.max_orders
        if limit is None:
            return None
        today = self._clock().astimezone(UTC).date().isoformat()
        sent = sum(
            order.sent_at.startswith(today) and order.stage is not OrderStatus.EXPIRED
            for ticker in self._ledger.states(self._account)
            for order in self._ledger.orders(self._account, ticker)
        )
        count = sent + len(self._admitted)
        return (
            f"{count} orders were sent today, and --max-orders-per-day is {limit}" if count >= limit else None
        )
