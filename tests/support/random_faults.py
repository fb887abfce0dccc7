"""Faults drawn from a seed for a share of all requests to the two played servers.

    dice = FaultDice(seed=1, share=0.1)
    data.chance, exchange.chance = dice.for_data, dice.for_trading
    dice.share = 0                          # from now on everything is answered as it is
    dice.counts                             # how often each kind struck

A fault is called with the handler and with what does what was asked and returns (status, content).
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter

from support.alpaca_trading_server import HTML, ORDERS, accept_then, reset, status

_SECONDS = 1.5
"""How long a server stays silent or trickles: longer than the traders wait."""
LOOKUP = "GET /v2/orders:by_client_order_id"
NOT_FOUND = '{"code": 40410000, "message": "%s"}'
LIES = (
    {"filled_qty": "0.000000001"},
    {"filled_qty": "1e-300"},
    {"filled_qty": "123456789"},
    {"filled_qty": "0"},
    {"filled_qty": "nan"},
    {"filled_qty": "-1"},
    {"filled_avg_price": "0.01"},
    {"filled_avg_price": "99999999"},
    {"filled_avg_price": None},
    {"symbol": "LTC/USD"},
    {"side": "hold"},
    {"client_order_id": "cr-another"},
    {"client_order_id": None},
    {"notional": "77", "qty": "77"},
    {"notional": None, "qty": None},
    {"created_at": "2020-01-01T00:00:00Z"},
    {"created_at": "2090-01-01T00:00:00Z"},
    {"status": "held"},
)
"""What answers about orders claim; see also `tests/trading/orders/test_checks.py`."""


def silent(handler, proceed):
    handler.server.closing.wait(_SECONDS)
    handler.close_connection = True


def trickling(handler, proceed):
    handler.begin(200, "application/json", {"Content-Length": "1000000"})
    for _ in range(int(_SECONDS / 0.05)):
        if handler.server.closing.wait(0.05):
            break
        handler.wfile.write(b" ")
    handler.close_connection = True


def cut_off(handler, proceed):
    """Send the first half of the true answer."""
    code, content = proceed()
    text = json.dumps(content).encode()
    handler.begin(code, "application/json", {"Content-Length": str(len(text))})
    handler.wfile.write(text[: len(text) // 2])
    handler.close_connection = True


def changed(change):
    """Answer what `change` makes of the true answer, where that is no error."""

    def fault(handler, proceed):
        code, content = proceed()
        handler.answer(code, json.dumps(change(content) if code == 200 else content))

    return fault


ANYWHERE = {
    **{f"{code}": status(code, '{"code": 50010000, "message": "no"}') for code in (500, 502, 503, 504)},
    **{f"{code} without body": status(code, "") for code in (500, 502, 503, 504)},
    "429": status(429, '{"message": "too many requests."}', Retry_After="1"),
    "429 without body": status(429, ""),
    "HTML": status(502, HTML, content_type="text/html"),
    "HTML called 200": status(200, HTML, content_type="text/html"),
    "reset": reset(),
    "silence": silent,
    "trickle": trickling,
    "cut-off body": cut_off,
}
AFTER_ACCEPTANCE = {
    f"accepted, then {name}": accept_then(ANYWHERE[name])
    for name in ("500", "504", "HTML", "reset", "silence", "trickle")
}


class FaultDice:
    """See the module's text.

    Attributes
    ----------
    share : float
        Of requests that meet a fault.
    requests : int
        How many there were.
    counts : Counter
        How often each kind struck.
    suspend : callable or None
        Lets hours pass, while a request is under way.
    """

    def __init__(self, seed, share, suspend=None, suspended_share=0.0):
        self.share, self.requests, self.counts = share, 0, Counter()
        self.suspend, self.suspended_share = suspend, suspended_share
        self._rng = random.Random(seed)
        self._lock = threading.Lock()

    def for_trading(self, request):
        return self._draw(lambda: self._trading_faults(request))

    def for_data(self, request):
        return self._draw(lambda: self._data_faults(request))

    def _draw(self, faults):
        with self._lock:
            self.requests += 1
            if self.suspend is not None and self._rng.random() < self.suspended_share * bool(self.share):
                return self._suspended()
            if self._rng.random() >= self.share:
                return None
            special = faults()
            kinds = special if special and self._rng.random() < 0.5 else ANYWHERE
            name = self._rng.choice(list(kinds))
            self.counts[name] += 1
            return kinds[name]

    def _suspended(self):
        """The machine sleeps for hours while a request is under way: before it arrives, or before its answer does."""
        seconds, before = self._rng.choice((600, 3600, 3 * 3600, 8 * 3600)), self._rng.random() < 0.5
        self.counts["suspended"] += 1

        def fault(handler, proceed):
            if before:
                self.suspend(seconds)
            code, content = proceed()
            if not before:
                self.suspend(seconds)
            handler.answer(code, "" if code == 204 else json.dumps(content))

        return fault

    def _trading_faults(self, request):
        if request.line == ORDERS:
            duplicate = status(422, '{"code": 40010001, "message": "client_order_id must be unique"}')
            return {**AFTER_ACCEPTANCE, "duplicate": accept_then(duplicate), **self._lie()}
        if request.line.startswith("DELETE"):
            return AFTER_ACCEPTANCE
        if request.line == LOOKUP:
            return {"order not found": status(404, NOT_FOUND % "order not found"), **self._lie()}
        if request.line.startswith("GET /v2/positions/"):
            return {"no position": status(404, NOT_FOUND % "position does not exist")}
        if request.path in {"/v2/positions", "/v2/assets", "/v2/orders", "/v2/account/activities"}:
            return {
                f"empty list of {request.path[4:]}": changed(lambda _: []),
                "repeated rows": changed(lambda rows: rows + rows[-1:]),
            }
        return {}

    def _lie(self):
        fields = self._rng.choice(LIES)
        return {"lying order": changed(lambda order: order | fields)}

    def _data_faults(self, request):
        if request.path.endswith("/bars"):
            spoil = self._rng.choice(
                (_low_above_close, _without_close, _price_zero, _off_the_hour, _contradicted)
            )
            symbol = self._rng.choice(request.symbols)
            return {
                "no bars at all": changed(lambda content: {**content, "bars": {}}),
                "no bars of a ticker": changed(lambda content: _with_rows(content, symbol, lambda _: [])),
                "defective bar": changed(lambda content: _with_rows(content, symbol, spoil)),
                "bar twice": changed(
                    lambda content: _with_rows(content, symbol, lambda rows: rows + rows[-1:])
                ),
                "bars unordered": changed(
                    lambda content: _with_rows(content, symbol, lambda rows: rows[::-1])
                ),
            }
        return {"no price": changed(lambda content: {name: {} for name in content})}


def _with_rows(content, symbol, change):
    bars = dict(content["bars"])
    bars[symbol] = change(list(bars.get(symbol, [])))
    return {**content, "bars": bars}


def _spoiled_last(rows, **fields):
    return [*rows[:-1], rows[-1] | fields] if rows else rows


def _low_above_close(rows):
    return _spoiled_last(rows, l=rows[-1]["c"] * 2) if rows else rows


def _without_close(rows):
    return [*rows[:-1], {name: value for name, value in rows[-1].items() if name != "c"}] if rows else rows


def _price_zero(rows):
    return _spoiled_last(rows, o=0, h=0, l=0, c=0)


def _off_the_hour(rows):
    return _spoiled_last(rows, t=rows[-1]["t"].replace(":00:00", ":17:00")) if rows else rows


def _contradicted(rows):
    return [*rows, rows[-1] | {"c": rows[-1]["c"] * 0.9999}] if rows else rows
