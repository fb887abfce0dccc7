"""Play Alpaca for `compare_behaviour.py`: one server of bars, and an account of its own for each side.

Started with a checkout and its `tests` folder on PYTHONPATH, because the servers are those of its tests.  Prints
the variables of both sides as one line of JSON, and ends with its standard input.

The last bar is that of the last full hour, whenever this runs, and its price is the same.
"""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime, timedelta

from support.alpaca_data_server import AlpacaDataServer
from support.alpaca_trading_server import KEY, SECRET, AlpacaTradingServer

HOURS = 1_500
PRICES = {"BTC/USD": 60_000.0, "ETH/USD": 3_000.0, "SOL/USD": 150.0}


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def bars(price: float, place: int, end: datetime) -> list[dict[str, object]]:
    """Return bars that end at `end`: a price that swings in three rhythms around its mean."""
    slow, fast = 71 + place, 9 + place
    swings = (
        0.02 * math.sin(n / slow) + 0.008 * math.sin(n / fast) + 0.002 * math.sin(n * n)
        for n in range(HOURS + 1)
    )
    closes = [round(price * (1 + swing), 2) for swing in swings]
    rows: list[dict[str, object]] = []
    for n in range(1, HOURS + 1):
        first, last = closes[n - 1], closes[n]
        rows.append(
            {
                "t": stamp(end - timedelta(hours=HOURS + 1 - n)),
                "o": first,
                "h": round(max(first, last) * 1.001, 2),
                "l": round(min(first, last) * 0.999, 2),
                "c": last,
                "v": round(10 + 5 * math.sin(n / 5), 3),
                "n": 7,
                "vw": last,
            }
        )
    return rows


def main() -> None:
    # The hour in which this runs is passing; its bars end where it began.
    now = datetime.now(UTC)
    end = now.replace(minute=0, second=0, microsecond=0)
    with AlpacaDataServer() as data, AlpacaTradingServer() as first, AlpacaTradingServer() as second:
        for place, (ticker, price) in enumerate(PRICES.items()):
            data.rows[ticker] = bars(price, place, end)
            close = data.rows[ticker][-1]["c"]
            data.trades[ticker] = {"t": stamp(now), "p": close, "s": 1}
            first.prices[ticker] = second.prices[ticker] = close
        sides = [
            {
                "CRYPTO_ALPACA_DATA_URL": data.url,
                "CRYPTO_ALPACA_TRADING_URL": account.url,
                "ALPACA_API_KEY": KEY,
                "ALPACA_SECRET_KEY": SECRET,
            }
            for account in (first, second)
        ]
        print(json.dumps(sides), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
