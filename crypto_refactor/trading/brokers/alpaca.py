"""Orders and positions at Alpaca, through its own SDK."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

from crypto_refactor.errors import BrokerError, UsageError
from crypto_refactor.execution.venues import VenueRules
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers import (
    AccountSnapshot,
    Execution,
    FeeCharge,
    NotTradedError,
    OrderList,
    OrderReport,
    OrderRequest,
    Position,
    UnreachableError,
)
from crypto_refactor.trading.brokers import alpaca_parser as parser
from crypto_refactor.trading.brokers.alpaca_errors import (
    is_already_final,
    is_not_found,
    order_error,
    query_error,
    stated_limit,
)
from crypto_refactor.transport import (
    BoundedSession,
    HttpLimits,
    RequestFailedError,
    is_loopback,
    validate_keys,
    validate_url,
)

if TYPE_CHECKING:
    from alpaca.trading.client import TradingClient
    from pydantic import SecretStr

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

PAPER_URL = "https://paper-api.alpaca.markets"
LIVE_URL = "https://api.alpaca.markets"
URL_SETTING = "CRYPTO_ALPACA_TRADING_URL"
_ASSETS_MAX_AGE = timedelta(minutes=5)
_MAX_ORDERS = 500
"""Alpaca's own limit on one list of orders."""
_MAX_ACTIVITIES = 100
"""Alpaca's own limit on one page of activities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _OrderPage(OrderList):
    """One page of a list of orders; `count` rows, whatever they are for."""

    count: int


class AlpacaBroker:
    """Alpaca's crypto account: market orders, immediate or cancel.

    Every call ends within `limits.total` seconds.  Queries are retried within that time; an order, or its
    cancellation, is sent exactly once, in the first half of it or never.  Reports are gross: Alpaca takes its
    fee later, from what is received.  Threads may share an object.  Each method raises
    what `Broker` states, and a plain `BrokerError` where Alpaca does not accept the keys.

    Parameters
    ----------
    api_key, secret_key : SecretStr or None
        Alpaca's keys; both are needed.
    paper : bool
        Whether the account is Alpaca's simulated one.
    url : str or None
        A server on this machine in place of Alpaca's paper URL; never for a live account.

    Raises
    ------
    BrokerError
        If there are no keys.
    UsageError
        If only one key is given or one cannot be a key, or `url` must not be used.
    """

    name = "alpaca"

    def __init__(
        self,
        *,
        api_key: SecretStr | None,
        secret_key: SecretStr | None,
        paper: bool,
        url: str | None,
        limits: HttpLimits,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        self._paper = paper
        self._url = _trading_url(url, paper=paper)
        self._keys = _required_keys(self._url, api_key, secret_key)
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._assets: tuple[datetime, tuple[parser.Asset, ...]] | None = None
        self._stated_limits: dict[Ticker, dict[str, Any]] = {}
        self.clock_skew_seconds: float | None = None

    @classmethod
    def from_settings(
        cls, *, paper: bool, clock: Callable[[], datetime], sleep: Callable[[float], None]
    ) -> Self:
        """Return the broker with the keys and the URL of the environment."""
        from crypto_refactor.config import settings

        values = settings()
        return cls(
            api_key=values.alpaca_api_key,
            secret_key=values.alpaca_secret_key,
            paper=paper,
            url=values.alpaca_trading_url,
            limits=HttpLimits(),
            clock=clock,
            sleep=sleep,
        )

    def account(self) -> AccountSnapshot:
        """Return the account's figures."""
        return self._query(
            "the account",
            lambda sdk: sdk.get_account(),
            lambda content: parser.parse_account(content, paper=self._paper),
        )

    def venue_rules(self, ticker: Ticker) -> VenueRules:
        """Return the order rules of `ticker`, at most five minutes old, with the limits that refusals have named."""
        rules = parser.to_rules(self._asset(ticker))
        return replace(rules, **self._stated_limits.get(ticker, {}))

    def position(self, ticker: Ticker) -> Position:
        """Return the position in `ticker`; empty only if neither it nor the list of all positions has one."""
        asset = self._asset(ticker)
        subject = f"the {ticker} position"
        return self._query(
            subject,
            lambda sdk: sdk.get_open_position(asset.position_symbol),
            lambda content: parser.parse_position(content, asset),
            absent=lambda: self._query(
                subject,
                lambda sdk: sdk.get_all_positions(),
                lambda content: parser.parse_listed_position(content, asset),
            ),
        )

    def positions(self) -> dict[Ticker, Position]:
        """Return every crypto position of the account."""
        return self._query(
            "all positions",
            lambda sdk: sdk.get_all_positions(),
            lambda content: parser.parse_positions(content, self._held_ticker),
        )

    def open_orders(self) -> OrderList:
        """Return every open crypto order, including those of others; more than one list holds is an error."""
        from alpaca.trading.enums import QueryOrderStatus
        from alpaca.trading.requests import GetOrdersRequest

        request = GetOrdersRequest(status=QueryOrderStatus.OPEN, limit=_MAX_ORDERS)

        def parse(content: Any) -> OrderList:
            if len(content) >= _MAX_ORDERS:
                raise BrokerError(
                    f"The account has {_MAX_ORDERS} open orders or more.",
                    expected="fewer, so that one list shows them all.",
                    remedy="cancel orders that are not needed.",
                )
            return parser.parse_orders(content, self._ticker)

        return self._query("open orders", lambda sdk: sdk.get_orders(request), parse)

    def orders_since(self, instant: datetime) -> OrderList:
        """Return every crypto order created after `instant`, open or not, including those of others."""
        orders: dict[str, OrderReport] = {}
        notes: dict[str, None] = {}
        while True:
            page = self._order_page(instant)
            latest = max((order.created_at for order in page.orders), default=None)
            orders |= {order.broker_order_id: order for order in page.orders}
            notes |= dict.fromkeys(page.notes)
            if page.count < _MAX_ORDERS:
                return OrderList(orders=tuple(orders.values()), notes=tuple(notes))
            after = instant if latest is None else datetime.fromisoformat(latest)
            if after <= instant:
                raise UnreachableError(
                    f"Alpaca lists {_MAX_ORDERS} orders of one second, and more may follow.",
                    expected="fewer, so that every order is seen.",
                    remedy="run the command again later.",
                )
            instant = after

    def _order_page(self, instant: datetime) -> _OrderPage:
        from alpaca.common.enums import Sort
        from alpaca.trading.enums import QueryOrderStatus
        from alpaca.trading.requests import GetOrdersRequest

        request = GetOrdersRequest(
            status=QueryOrderStatus.ALL, limit=_MAX_ORDERS, after=instant, direction=Sort.ASC
        )

        def parse(content: Any) -> _OrderPage:
            parsed = parser.parse_orders(content, self._ticker)
            return _OrderPage(orders=parsed.orders, notes=parsed.notes, count=len(content))

        return self._query("recent orders", lambda sdk: sdk.get_orders(request), parse)

    def executions_since(self, instant: datetime) -> tuple[Execution, ...]:
        """Return what was executed after `instant`, by whichever order."""
        return self._activities("recent executions", ("FILL",), instant, parser.parse_executions)

    def fees_since(self, instant: datetime) -> tuple[FeeCharge, ...]:
        """Return the fees that were charged after `instant`; Alpaca books those of a day at its end."""
        return self._activities("the fees", ("CFEE", "FEE"), instant, parser.parse_fees)

    def _activities(
        self,
        subject: str,
        kinds: tuple[str, ...],
        instant: datetime,
        parse: Callable[[Any, Callable[[str], Ticker | None]], tuple[_T, ...]],
    ) -> tuple[_T, ...]:
        """Return the account's activities of some `kinds` after `instant`, page by page."""
        found: list[_T] = []
        since, size = instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), str(_MAX_ACTIVITIES)
        fields = {"activity_types": ",".join(kinds), "after": since, "direction": "asc", "page_size": size}
        while True:
            rows, page = self._query(
                subject,
                lambda sdk: sdk.get("/account/activities", dict(fields)),
                lambda content: (content, parse(content, self._ticker)),
            )
            found += page
            if len(rows) < _MAX_ACTIVITIES or rows[-1]["id"] == fields.get("page_token"):
                return tuple(found)
            fields["page_token"] = rows[-1]["id"]

    def order(self, client_order_id: str) -> OrderReport | None:
        """Return the order with this id; None only where Alpaca itself says that there is none."""
        return self._query(
            f"order {client_order_id}",
            lambda sdk: sdk.get_order_by_client_id(client_order_id),
            lambda content: parser.parse_order(content, self._ticker, client_order_id),
            absent=lambda: None,
        )

    def submit(self, request: OrderRequest) -> OrderReport:
        """Send an order, once.

        It is refused only if Alpaca itself says so, or if its amount rounds down to 0.  After any other answer,
        no answer, or "this id was used before", it may have been accepted.
        """
        fields = parser.order_fields(request)
        try:
            return self._call(
                # alpaca-py's own request models hold a quantity as a float, which goes out as 1e-06.
                lambda sdk: sdk.post("/orders", fields),
                lambda content: parser.parse_order(
                    content, lambda symbol: parser.same_pair(symbol, request.ticker), request.client_order_id
                ),
            )
        except RequestFailedError as failure:
            limit = stated_limit(request, failure)
            self._stated_limits[request.ticker] = self._stated_limits.get(request.ticker, {}) | limit
            raise order_error(request, failure) from failure

    def cancel(self, report: OrderReport) -> None:
        """Request the cancellation of an open order; one that has ended stays as it is."""
        name = report.client_order_id
        try:
            self._call(lambda sdk: sdk.cancel_order_by_id(report.broker_order_id), lambda _: None)
        except RequestFailedError as failure:
            if not is_already_final(failure):
                raise query_error(f"the cancellation of order {name}", failure) from failure
            _log.info("Alpaca does not cancel order %s: %r.", name, failure.text)

    def _asset(self, ticker: Ticker) -> parser.Asset:
        # Alpaca keeps retired assets in its list, some under the symbol of an active one.
        assets = [asset for asset in self._asset_list() if asset.ticker == ticker]
        if not assets:
            raise NotTradedError(
                f"Alpaca's asset list does not name {ticker}.",
                expected="a crypto pair that Alpaca offers.",
                remedy="leave this ticker out.",
            )
        return max(assets, key=lambda asset: (asset.active, asset.tradable))

    def _ticker(self, symbol: str) -> Ticker | None:
        if "/" in symbol:
            return parser.to_ticker(symbol)
        tickers = {asset.ticker for asset in self._asset_list() if asset.position_symbol == symbol}
        return tickers.pop() if len(tickers) == 1 else None

    def _held_ticker(self, symbol: str) -> Ticker | None:
        # A position in a pair that has left the asset list is still one.
        known = self._ticker(symbol)
        return known or (parser.to_ticker(f"{symbol[:-3]}/USD") if symbol.endswith("USD") else None)

    def _asset_list(self) -> tuple[parser.Asset, ...]:
        from alpaca.trading.enums import AssetClass
        from alpaca.trading.requests import GetAssetsRequest

        now, cached = self._clock(), self._assets
        if cached is not None and timedelta() <= now - cached[0] < _ASSETS_MAX_AGE:
            return cached[1]
        request = GetAssetsRequest(asset_class=AssetClass.CRYPTO)
        assets = self._query("the asset list", lambda sdk: sdk.get_all_assets(request), parser.parse_assets)
        self._assets = now, assets
        return assets

    def _query(
        self,
        subject: str,
        request: Callable[[TradingClient], Any],
        parse: Callable[[Any], _T],
        *,
        absent: Callable[[], _T] | None = None,
    ) -> _T:
        """Query Alpaca; `absent` returns the result where Alpaca itself says that there is no such thing."""
        try:
            return self._call(request, parse)
        except RequestFailedError as failure:
            if absent is None or not is_not_found(failure):
                raise query_error(subject, failure) from failure
        return absent()

    def _call(self, request: Callable[[TradingClient], Any], parse: Callable[[Any], _T]) -> _T:
        """Call the SDK within bounds and parse what it returns; no usable response is a `RequestFailedError`."""
        from alpaca.trading.client import TradingClient

        session = BoundedSession(
            limits=self._limits,
            seconds=self._limits.total,
            secrets=self._keys,
            clock=self._clock,
            sleep=self._sleep,
        )
        sdk = TradingClient(*self._keys, paper=self._paper, raw_data=True, url_override=self._url)
        _install(session, sdk)
        try:
            return session.call(lambda: request(sdk), parse)
        finally:
            self.clock_skew_seconds = session.skew_seconds


def _install(session: BoundedSession, sdk: TradingClient) -> None:
    """Make the SDK use `session`, which has time-outs and raises before the SDK could repeat an order."""
    if "_session" not in vars(sdk):
        raise BrokerError(
            "This release of alpaca-py does not accept time-outs.",
            expected="a release that keeps its HTTP session where 0.43 and 0.44 do.",
            remedy="install another release of alpaca-py; no order is sent without time-outs.",
        )
    sdk._session = session  # noqa: SLF001


def _trading_url(url: str | None, *, paper: bool) -> str:
    if url is None:
        return PAPER_URL if paper else LIVE_URL
    if not paper:
        raise UsageError(
            f"{URL_SETTING} is set, but the account is live.",
            expected="live orders to go to Alpaca itself.",
            remedy=f"unset {URL_SETTING}, or trade on paper.",
        )
    url = validate_url(url, setting=URL_SETTING)
    if url.lower() != PAPER_URL and not is_loopback(url):
        raise UsageError(
            f"Keys and paper orders are not sent to {url}.",
            expected=f"{PAPER_URL}, or this machine.",
            remedy=f"correct {URL_SETTING}, or unset it.",
        )
    return url


def _required_keys(url: str, api_key: SecretStr | None, secret_key: SecretStr | None) -> tuple[str, str]:
    alternative = "add --demo: the demo account needs none"
    keys = validate_keys(url, api_key, secret_key, alternative=alternative)
    if keys is None:
        raise BrokerError(
            "Alpaca's account cannot be used without keys.",
            expected="ALPACA_API_KEY and ALPACA_SECRET_KEY.",
            remedy=f"set both as Alpaca shows them, or {alternative}.",
        )
    return keys
