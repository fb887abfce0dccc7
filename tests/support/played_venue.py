"""Exchanges for tests of `download --from`: one in this process, and one that ccxt asks at a server on this machine."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import parse_qs

import ccxt
from werkzeug import Response

HOUR_MS = 3_600_000
NAME = "coinbaseexchange"


def row(hour, price=100.0):
    """Return an hourly bar as ccxt gives it."""
    return [hour * HOUR_MS, price, price + 1, price - 1, price + 0.5, 10.0]


class FakeExchange:
    """Gives the rows of `hours`, a page at a time, and meets `faults`, one a request.

    Attributes
    ----------
    asked : list of int
        From which hour each page was asked.
    """

    def __init__(self, hours, *, name="kraken", page=10, faults=(), pairs=("BTC/USD",), recent_only=False):
        self.name, self.page = name, page
        self.given = {hour: row(hour) for hour in hours}
        self.faults, self.asked = list(faults), []
        self.recent_only = recent_only
        self._pairs = frozenset(pairs)

    def pairs(self):
        return self._pairs

    def rows(self, pair, since):
        self.asked.append(since)
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        if self.recent_only:
            return [self.given[hour] for hour in sorted(self.given)[-self.page :]]
        return [self.given[hour] for hour in range(since, since + self.page) if hour in self.given]


class PlayedCoinbase:
    """Coinbase's exchange at a server on this machine: products, and candles of `closes` by hour.

    Attributes
    ----------
    faults : list
        Answers, one for each request for candles; None answers as usual.
    """

    def __init__(self, httpserver, hours, *, products=("BTC-USD", "BTC-USDT", "ETH-USD")):
        self.hours, self.products, self.faults, self.requests = set(hours), products, [], 0
        self.url = httpserver.url_for("").rstrip("/")
        httpserver.expect_request("/products").respond_with_handler(self._products)
        httpserver.expect_request("/currencies").respond_with_json([])
        for product in products:
            httpserver.expect_request(f"/products/{product}/candles").respond_with_handler(self._candles)

    def install(self, monkeypatch):
        """Let ccxt ask this server when it is asked for Coinbase's exchange."""
        url = self.url

        class Here(ccxt.coinbaseexchange):
            def describe(self):
                described = super().describe()
                described["urls"]["api"] = {"public": url, "private": url}
                described["rateLimit"] = 1
                return described

        monkeypatch.setattr(ccxt, NAME, Here)
        return self

    def _products(self, request):
        products = [
            {
                "id": name,
                "base_currency": name.partition("-")[0],
                "quote_currency": name.partition("-")[2],
                "base_increment": "0.00000001",
                "quote_increment": "0.01",
                "status": "online",
            }
            for name in self.products
        ]
        return Response(json.dumps(products), content_type="application/json")

    def _candles(self, request):
        self.requests += 1
        if self.faults and (fault := self.faults.pop(0)) is not None:
            return fault
        query = parse_qs(request.query_string.decode())
        first, last = (
            int(datetime.fromisoformat(query[name][0]).astimezone(UTC).timestamp()) // 3600
            for name in ("start", "end")
        )
        hours = sorted((hour for hour in self.hours if first <= hour <= last), reverse=True)[:300]
        candles = [[hour * 3600, 99.0, 101.0, 100.0, 100.5, 10.0] for hour in hours]
        return Response(json.dumps(candles), content_type="application/json")
