"""Orders and positions at Alpaca, through its own SDK."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from crypto_refactor.errors import BrokerError, CryptoRefactorError
from crypto_refactor.trading.brokers.alpaca_access import validate_access
from crypto_refactor.trading.brokers.alpaca_errors import (
    AnswerReporter,
    CancelReporter,
    NotThereError,
    OrderReporter,
    QueryReporter,
    TooLateError,
)
from crypto_refactor.trading.brokers.alpaca_parser import (
    order_fields,
    parse_account,
    parse_assets,
    parse_listed_position,
    parse_open_orders,
    parse_own_order,
    parse_position,
    same_pair,
    to_rules,
    to_ticker,
)
from crypto_refactor.trading.brokers.base import NotTradedError
from crypto_refactor.transport.session import BoundedSession, call_with_timeout

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from alpaca.trading.client import TradingClient
    from pydantic import SecretStr

    from crypto_refactor.execution.venues import VenueRules
    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.trading.brokers.alpaca_parser import Asset
    from crypto_refactor.trading.brokers.base import AccountSnapshot, OrderReport, OrderRequest, Position
    from crypto_refactor.transport.session import HttpLimits

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_ASSETS_KEPT = timedelta(minutes=5)
_MAX_ORDERS = 500
"""Alpaca's own limit on one list of orders."""


class AlpacaBroker:
    """Alpaca's crypto account: market orders, immediate or cancel, at most one request each.

    Every request ends within `limits.total` seconds.  Questions are repeated within that time; an order, or
    its cancellation, is sent exactly once, and leaves in the first half of it or never.  Reports are gross:
    Alpaca takes its fee from what is received, later.  Threads may share an object.

    Parameters
    ----------
    api_key, secret_key : SecretStr or None
        Alpaca's keys; both are needed.
    paper : bool
        Whether the account is Alpaca's simulated one.
    url : str or None
        A server on this machine in place of Alpaca's paper address; never for a live account.
    limits : HttpLimits
        Bounds on time and attempts.
    clock : callable
        Returns the aware local time.
    sleep : callable
        Waits for so many seconds.

    Raises
    ------
    UsageError
        If keys are missing or cannot be keys, or `url` must not be used.
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
        self._address, self._keys = validate_access(url, api_key, secret_key, paper=paper)
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._assets: tuple[datetime, tuple[Asset, ...]] | None = None

    def account(self) -> AccountSnapshot:
        """Return the account's figures.

        Raises
        ------
        UnreachableError
            If Alpaca cannot be asked or understood.
        BrokerError
            If it does not accept the keys.
        """
        return self._ask(
            QueryReporter(subject="the account"),
            lambda sdk: sdk.get_account(),
            lambda content: parse_account(content, paper=self._paper),
        )

    def venue_rules(self, ticker: Ticker) -> VenueRules:
        """Return the order rules of `ticker`, at most five minutes old.

        Raises
        ------
        BrokerError
            If Alpaca does not trade it, or as `account`.
        """
        return to_rules(self._asset(ticker))

    def position(self, ticker: Ticker) -> Position:
        """Return what is held of `ticker`.

        Nothing is held only where Alpaca says so twice: asked for this position, and asked for all.

        Raises
        ------
        BrokerError
            If Alpaca does not know `ticker`, or as `account`.
        """
        asset = self._asset(ticker)
        reporter = QueryReporter(subject=f"the {ticker} position")
        try:
            return self._ask(
                reporter,
                lambda sdk: sdk.get_open_position(asset.position_symbol),
                lambda content: parse_position(content, asset),
            )
        except NotThereError:
            return self._ask(
                reporter,
                lambda sdk: sdk.get_all_positions(),
                lambda content: parse_listed_position(content, asset),
            )

    def open_orders(self) -> tuple[OrderReport, ...]:
        """Return every crypto order that is still open, whoever sent it.

        Raises
        ------
        BrokerError
            If there are more than one list holds, or as `account`.
        """
        from alpaca.trading.enums import QueryOrderStatus
        from alpaca.trading.requests import GetOrdersRequest

        wanted = GetOrdersRequest(status=QueryOrderStatus.OPEN, limit=_MAX_ORDERS)

        def read(content: Any) -> tuple[OrderReport, ...]:
            if len(content) >= _MAX_ORDERS:
                raise BrokerError(
                    f"The account has {_MAX_ORDERS} open orders or more.",
                    expected="fewer, so that all of them can be seen.",
                    remedy="cancel orders that are not needed.",
                )
            return parse_open_orders(content, self._ticker)

        return self._ask(QueryReporter(subject="open orders"), lambda sdk: sdk.get_orders(wanted), read)

    def order(self, client_order_id: str) -> OrderReport | None:
        """Return the order with this id; None only where Alpaca itself says that there is none.

        Raises
        ------
        UnreachableError, BrokerError
            As `account`.
        """
        try:
            return self._ask(
                QueryReporter(subject=f"order {client_order_id}"),
                lambda sdk: sdk.get_order_by_client_id(client_order_id),
                lambda content: parse_own_order(content, client_order_id, self._ticker),
            )
        except NotThereError:
            return None

    def submit(self, request: OrderRequest) -> OrderReport:
        """Send an order, once.

        Raises
        ------
        OrderRefusedError
            If Alpaca itself refused it, or its amount rounds down to nothing.
        UnknownOutcomeError
            If it may have been accepted: any other answer, none, or "this id was used before".
        """
        fields = order_fields(request)
        return self._ask(
            OrderReporter(request=request),
            # alpaca-py's own request models hold a quantity as a float, which goes out as 1e-06.
            lambda sdk: sdk.post("/orders", fields),
            lambda content: parse_own_order(
                content, request.client_order_id, lambda symbol: same_pair(symbol, request.ticker)
            ),
        )

    def cancel(self, report: OrderReport) -> None:
        """Ask for an open order to be cancelled; one that has ended already is left as it is.

        Raises
        ------
        UnreachableError, BrokerError
            As `account`.
        """
        try:
            self._ask(
                CancelReporter(subject=f"the cancellation of order {report.client_order_id}"),
                lambda sdk: sdk.cancel_order_by_id(report.broker_order_id),
                lambda _: None,
            )
        except TooLateError as error:
            _log.info("%s", error.what)

    def _asset(self, ticker: Ticker) -> Asset:
        # Alpaca keeps retired assets in its list, some under the symbol of a living one.
        found = [asset for asset in self._asset_list() if asset.ticker == ticker]
        if not found:
            raise NotTradedError(
                f"Alpaca's asset list does not name {ticker}.",
                expected="a crypto pair that Alpaca offers.",
                remedy="leave this ticker out.",
            )
        return max(found, key=lambda asset: (asset.active, asset.tradable))

    def _ticker(self, symbol: str) -> Ticker | None:
        if "/" in symbol:
            return to_ticker(symbol)
        found = {asset.ticker for asset in self._asset_list() if asset.position_symbol == symbol}
        return found.pop() if len(found) == 1 else None

    def _asset_list(self) -> tuple[Asset, ...]:
        from alpaca.trading.enums import AssetClass
        from alpaca.trading.requests import GetAssetsRequest

        now, kept = self._clock(), self._assets
        if kept is not None and timedelta() <= now - kept[0] < _ASSETS_KEPT:
            return kept[1]
        wanted = GetAssetsRequest(asset_class=AssetClass.CRYPTO)
        assets = self._ask(
            QueryReporter(subject="the asset list"), lambda sdk: sdk.get_all_assets(wanted), parse_assets
        )
        self._assets = now, assets
        return assets

    def _ask(
        self, reporter: AnswerReporter, call: Callable[[TradingClient], Any], read: Callable[[Any], _T]
    ) -> _T:
        """Call the SDK within bounds and read what it returns; every failure is the reporter's."""
        from alpaca.trading.client import TradingClient

        seconds = self._limits.total
        session = BoundedSession(
            limits=self._limits,
            seconds=seconds,
            reporter=reporter,
            secrets=self._keys,
            clock=self._clock,
            sleep=self._sleep,
        )
        sdk = TradingClient(*self._keys, paper=self._paper, raw_data=True, url_override=self._address)
        _install(session, sdk)
        try:
            return read(call_with_timeout(seconds, lambda: call(sdk)))
        except CryptoRefactorError:
            raise
        except TimeoutError:
            error = reporter.unreachable(f"no complete answer within {seconds:g} s")
        except Exception as unread:  # noqa: BLE001 - the SDK meets a strange body with whatever it runs into
            _log.debug("%s while an answer was read", type(unread).__name__)
            error = reporter.unreadable(session.last_text)
        finally:
            session.close()
        raise error  # out here, so that it does not carry the SDK's error, which may hold the request


def _install(session: BoundedSession, sdk: TradingClient) -> None:
    """Make the SDK use `session`, which times out, and which raises before the SDK could repeat an order."""
    if "_session" not in vars(sdk):
        raise BrokerError(
            "This release of alpaca-py cannot be given time-outs.",
            expected="a release that keeps its HTTP session where 0.43 and 0.44 do.",
            remedy="install another release of alpaca-py; no order leaves without bounds.",
        )
    sdk._session = session  # noqa: SLF001
