"""What Alpaca's trading API knows and does: an account, its orders and holdings, without any HTTP.

Amounts are Decimal inside and text outside, as at Alpaca.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal, InvalidOperation

from support.alpaca_orders import Holding, Order, decimals, filled, number

NOT_FOUND, FORBIDDEN, INVALID = 40410000, 40310000, 40010001
BASES = ("AAVE", "ADA", "ALGO", "ATOM", "AVAX", "BTC", "DOT", "ETH", "LINK", "MATIC", "SOL", "UNI", "XTZ")
PAIRS = (*(f"{base}/USD" for base in BASES), "BTC/USDT", "ETH/BTC")
_NINE = Decimal("1e-9")
MIN_BUY, MIN_SALE, MAX_ORDER = Decimal(10), Decimal(1), Decimal(200_000)
"""Alpaca's limits on an order of a USD pair, in USD."""


class RefusedError(Exception):
    """An answer that is not 200."""

    def __init__(self, status, content):
        super().__init__(status, content)
        self.status, self.content = status, content


def _instant(text):
    return None if text is None else datetime.fromisoformat(text)


def refusal(status, code, message, **more):
    return RefusedError(status, {"code": code, "message": message, **more})


@dataclass(kw_only=True)
class Exchange:
    """The account and its orders: what the server knows, whoever asks.

    Attributes
    ----------
    prices : dict or callable
        Market orders of a symbol fill at ``prices[symbol]`` or ``prices(symbol)``.
    cash : Decimal
        Money not in coins.
    fee : Decimal
        Part of what is received that Alpaca keeps: coins of a buy, money of a sale.
    account : dict
        Fields of the account that override what is computed.
    assets : dict of str to dict
        The asset list, edit at will.
    orders : list of Order
        In order of arrival.
    holdings : dict of str to Holding
        By symbol with a slash.
    fates : list of callable
        What becomes of the next accepted orders; one entry each.
    foreign : list of dict
        Orders shown as they are, such as those for stocks.
    activities : list of dict
        Executions (``FILL``) and fees taken in coins (``CFEE``), in order.
    """

    prices: object = field(default_factory=dict)
    cash: Decimal = Decimal(100_000)
    fee: Decimal = Decimal("0.0025")
    account: dict = field(default_factory=dict)
    assets: dict = field(default_factory=dict)
    orders: list = field(default_factory=list)
    holdings: dict = field(default_factory=dict)
    fates: list = field(default_factory=list)
    foreign: list = field(default_factory=list)
    activities: list = field(default_factory=list)
    clock: object = lambda: datetime.now(UTC)

    def __post_init__(self):
        for symbol in PAIRS:
            self.assets[symbol] = {
                "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, symbol)),
                "class": "crypto",
                "exchange": "CRYPTO",
                "symbol": symbol,
                "name": symbol,
                "status": "active",
                "tradable": True,
                "marginable": False,
                "shortable": False,
                "easy_to_borrow": False,
                "fractionable": True,
                "attributes": [],
                "min_order_size": "0.000000001",
                "min_trade_increment": "0.000000001",
                "price_increment": "0.000000001",
            }

    # What tests do

    def set_position(self, symbol, qty, average_price=None):
        """Change a holding from outside, as a person at Alpaca's own page does; 0 removes it."""
        if not qty:
            self.holdings.pop(symbol, None)
            return
        price = self.price(symbol) if average_price is None else Decimal(str(average_price))
        self.holdings[symbol] = Holding(qty=Decimal(str(qty)), average_price=price)

    def sell_by_hand(self, symbol, qty):
        """Sell coins as a person at Alpaca's own page does: by an order with a random id."""
        fields = {
            "symbol": symbol,
            "qty": number(Decimal(repr(float(qty))).quantize(_NINE, rounding=ROUND_DOWN)),
            "side": "sell",
            "type": "market",
            "time_in_force": "gtc",
        }
        self._submit(json.dumps(fields))

    def held(self, symbol):
        """Return how much is held, as a float."""
        return float(self.holdings[symbol].qty) if symbol in self.holdings else 0.0

    def find(self, client_order_id):
        """Return the order with this id, or None."""
        return next((order for order in self.orders if order.client_order_id == client_order_id), None)

    def price(self, symbol):
        value = self.prices(symbol) if callable(self.prices) else self.prices.get(symbol)
        if value is None:
            raise refusal(422, INVALID, f"this server has no price for {symbol}")
        return Decimal(str(value))

    # What becomes of orders

    def fill(self, order, fraction):
        """Execute an order up to `fraction` of its whole, at the price of now.

        The fee is taken from what is received: a position grows by less than was executed.
        """
        price = self.price(order.symbol)
        whole = order.qty if order.qty is not None else order.notional / price
        part = (whole * fraction - order.filled_qty).quantize(_NINE, rounding=ROUND_DOWN)
        paid = order.filled_qty * (order.filled_avg_price or 0) + part * price
        order.filled_qty += part
        order.filled_avg_price = paid / order.filled_qty
        order.status = "filled" if fraction == 1 else "partially_filled"
        order.updated, order.on_look, order.on_cancel = self.clock(), None, None
        self._receive(order, part, price)
        self._report(
            "FILL", order, part, price, order_id=order.id, type="fill" if fraction == 1 else "partial_fill"
        )

    def _report(self, kind, order, qty, price, **more):
        self.activities.append(
            {
                "id": f"{self.clock():%Y%m%d%H%M%S%f}::{uuid.uuid4()}",
                "activity_type": kind,
                "symbol": order.symbol,
                "side": order.side,
                "qty": number(qty),
                "price": number(price),
                "transaction_time": self.clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                **more,
            }
        )

    def _receive(self, order, part, price):
        holding = self.holdings.setdefault(order.symbol, Holding())
        if order.side == "buy":
            received = (part * (1 - self.fee)).quantize(_NINE, rounding=ROUND_DOWN)
            if received != part:
                self._report("CFEE", order, received - part, price, status="executed")
            cost = holding.qty * holding.average_price + received * price
            holding.qty += received
            holding.average_price = cost / holding.qty if holding.qty else Decimal(0)
            self.cash -= part * price
        else:
            holding.qty -= part
            charged = part * price * self.fee
            self.cash += part * price - charged
            if charged:
                self._report("CFEE", order, Decimal(0), price, net_amount=number(-charged), status="executed")
        if not holding.qty:
            del self.holdings[order.symbol]

    def end(self, order, state):
        """End an order as it stands."""
        order.status, order.updated = state, self.clock()

    def reserved(self, symbol, side):
        """Return the part of a holding, or of the money, that open orders hold back."""
        own = [order for order in self.orders if order.open and order.side == side]
        if side == "sell":
            return sum((order.qty - order.filled_qty for order in own if order.symbol == symbol), Decimal(0))
        return sum((order.notional or order.qty * self.price(order.symbol) for order in own), Decimal(0))

    # Alpaca's paths

    def handle(self, request):
        """Return (status, content) of a request."""
        first, *rest = request.path.removeprefix("/v2/").split("/")
        try:
            match (request.method, first, *rest):
                case ("GET", "account"):
                    return 200, self._account()
                case ("GET", "assets"):
                    return 200, self._assets(request.query)
                case ("GET", "account", "activities"):
                    return 200, self._activities(request.query)
                case ("GET", "positions"):
                    return 200, [self._position(symbol) for symbol in self.holdings]
                case ("GET", "positions", wanted):
                    return 200, self._one_position(wanted)
                case _:
                    return self._handle_orders(request, first, *rest)
        except RefusedError as error:
            return error.status, error.content

    def _handle_orders(self, request, *parts):
        match (request.method, *parts):
            case ("POST", "orders"):
                return 200, self._submit(request.body)
            case ("GET", "orders"):
                return 200, self._orders(request.query)
            case ("GET", "orders:by_client_order_id"):
                wanted = request.query.get("client_order_id", "")
                return 200, self._look(lambda order: order.client_order_id == wanted)
            case ("GET", "orders", wanted):
                return 200, self._look(lambda order: order.id == wanted)
            case ("DELETE", "orders", wanted):
                return 204, self._cancel(wanted)
        raise refusal(404, NOT_FOUND, "endpoint not found.")

    def _account(self):
        worth = sum((held.qty * self.price(symbol) for symbol, held in self.holdings.items()), Decimal(0))
        free = self.cash - self.reserved("", "buy")
        return {
            "id": "904837e3-3b76-47ec-b432-046db621571b",
            "account_number": "PA0000000001",
            "status": "ACTIVE",
            "crypto_status": "ACTIVE",
            "currency": "USD",
            "cash": number(self.cash),
            "buying_power": number(2 * free),
            "non_marginable_buying_power": number(free),
            "equity": number(self.cash + worth),
            "portfolio_value": number(self.cash + worth),
            "trading_blocked": False,
            "transfers_blocked": False,
            "account_blocked": False,
            "trade_suspended_by_user": False,
            "shorting_enabled": True,
            "multiplier": "2",
            **self.account,
        }

    def _activities(self, query):
        kinds = query.get("activity_types", "FILL,CFEE").split(",")
        after = _instant(query.get("after"))
        chosen = [
            activity
            for activity in self.activities
            if activity["activity_type"] in kinds
            and (after is None or datetime.fromisoformat(activity["transaction_time"]) > after)
        ]
        if query.get("direction", "desc") == "desc":
            chosen.reverse()
        seen = [activity["id"] for activity in chosen]
        token = query.get("page_token")
        first = seen.index(token) + 1 if token in seen else 0
        return chosen[first : first + int(query.get("page_size", 100))]

    def _assets(self, query):
        return [
            asset
            for asset in self.assets.values()
            if query.get("asset_class", "us_equity") == asset["class"]
            and query.get("status", asset["status"]) == asset["status"]
        ]

    def _submit(self, body):
        order = self._valid_order(body)
        self.orders.append(order)
        fate = self.fates.pop(0) if self.fates else filled
        shown = order.json(self.assets[order.symbol]["id"]) | {"status": "pending_new"}
        fate(self, order)
        return shown if order.status == "accepted" else self._json(order)

    def _valid_order(self, body):
        try:
            fields = json.loads(body)
            amounts = {
                name: Decimal(str(fields[name])) if fields.get(name) is not None else None
                for name in ("qty", "notional")
            }
        except (ValueError, TypeError, AttributeError, InvalidOperation):
            raise refusal(400, 40010000, "request body format is invalid") from None
        symbol = next(
            (name for name in self.assets if fields.get("symbol") in {name, name.replace("/", "")}), None
        )
        if symbol is None:
            raise refusal(422, INVALID, f'asset "{fields.get("symbol")}" not found')
        if not self.assets[symbol]["tradable"] or self.assets[symbol]["status"] != "active":
            raise refusal(422, INVALID, f"asset {symbol} is not tradable")
        if fields.get("type") != "market" or fields.get("time_in_force") not in {"gtc", "ioc"}:
            raise refusal(422, INVALID, "invalid crypto time_in_force")
        self._check_amounts(**amounts)
        own_id = fields.get("client_order_id") or str(uuid.uuid4())
        if len(own_id) > 48:
            raise refusal(422, INVALID, "client_order_id must be no more than 48 characters")
        if self.find(own_id):
            raise refusal(422, INVALID, "client_order_id must be unique")
        now = self.clock()
        order = Order(
            id=str(uuid.uuid4()),
            client_order_id=own_id,
            symbol=symbol,
            side=fields.get("side"),
            time_in_force=fields["time_in_force"],
            created=now,
            updated=now,
            **amounts,
        )
        self._check_balance(order)
        return order

    def _check_amounts(self, *, qty, notional):
        if (qty is None) == (notional is None):
            raise refusal(422, INVALID, "qty or notional is required, not both")
        if qty is not None and (qty <= 0 or decimals(qty) > 9):
            raise refusal(422, INVALID, "qty must be > 0 and limited to 9 decimal places")
        if notional is not None and (notional <= 0 or decimals(notional) > 2):
            raise refusal(422, INVALID, "notional value must be limited to 2 decimal places")

    def _check_balance(self, order):
        price = self.price(order.symbol)
        cost = order.notional if order.notional is not None else order.qty * price
        base, quote = order.symbol.split("/")
        if order.side == "buy":
            balance, asked, name = self.cash, cost, quote
            available = balance - self.reserved("", "buy")
        elif order.side == "sell":
            balance = self.holdings.get(order.symbol, Holding()).qty
            asked, name = (order.qty if order.qty is not None else order.notional / price), base
            available = balance - self.reserved(order.symbol, "sell")
        else:
            raise refusal(422, INVALID, "side must be buy or sell")
        least = MIN_BUY if order.side == "buy" and quote == "USD" else MIN_SALE
        if cost < least:
            raise refusal(403, FORBIDDEN, f"cost basis must be >= minimal amount of order {least}")
        if quote == "USD" and cost > MAX_ORDER:
            raise refusal(403, FORBIDDEN, f"cost basis must be <= maximal amount of order {MAX_ORDER}")
        if asked > available:
            raise refusal(
                403,
                FORBIDDEN,
                f"insufficient balance for {name} "
                f"(requested: {number(asked)}, available: {number(available)})",
                available=number(available),
                balance=number(balance),
                symbol=quote,
            )

    def _orders(self, query):
        wanted = query.get("status", "open")
        chosen = [order for order in self.orders if wanted == "all" or order.open == (wanted == "open")]
        symbols = query.get("symbols")
        if symbols:
            names = symbols.split(",")
            chosen = [order for order in chosen if order.symbol in names]
        after = _instant(query.get("after"))
        if after is not None:
            chosen = [order for order in chosen if order.created > after]
        if query.get("direction", "desc") == "desc":
            chosen.reverse()
        shown = [*map(self._json, chosen), *self.foreign]
        return shown[: int(query.get("limit", 50))]

    def _json(self, order):
        return order.json(self.assets[order.symbol]["id"])

    def _look(self, chosen):
        order = next(filter(chosen, self.orders), None)
        if order is None:
            raise refusal(404, NOT_FOUND, "order not found")
        if order.on_look:
            order.on_look(self, order)
        return self._json(order)

    def _cancel(self, wanted):
        order = next((order for order in self.orders if order.id == wanted), None)
        if order is None:
            raise refusal(404, NOT_FOUND, "order not found")
        if order.on_cancel:
            order.on_cancel(self, order)
            return ""
        if not order.open:
            raise refusal(422, 42210000, f'order is already in "{order.status}" state')
        self.end(order, "canceled")
        return ""

    def _position(self, symbol):
        held, price = self.holdings[symbol], self.price(symbol)
        return {
            # Not the id of the asset list: Alpaca's differ at times.
            "asset_id": str(uuid.uuid5(uuid.NAMESPACE_URL, symbol)),
            "symbol": symbol.replace("/", ""),
            "exchange": "CRYPTO",
            "asset_class": "crypto",
            "asset_marginable": False,
            "qty": number(held.qty),
            "qty_available": number(held.qty - self.reserved(symbol, "sell")),
            "avg_entry_price": number(held.average_price),
            "side": "long",
            "market_value": number(held.qty * price),
            "cost_basis": number(held.qty * held.average_price),
            "unrealized_pl": number(held.qty * (price - held.average_price)),
            "current_price": number(price),
        }

    def _one_position(self, wanted):
        if "%" in wanted:
            raise refusal(404, NOT_FOUND, f"symbol not found: {wanted}")
        for symbol in self.holdings:
            shown = self._position(symbol)
            if wanted in {shown["symbol"], shown["asset_id"], self.assets[symbol]["id"]}:
                return shown
        raise refusal(404, NOT_FOUND, "position does not exist")
