"""What the columns of bars are called in the files that people have."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

STAMPS: Final = frozenset(
    [
        "timestamp",
        "time",
        "date",
        "datetime",
        "opentime",
        "unix",
        "unixtime",
        "unixtimestamp",
        "epoch",
        "start",
        "starttime",
        "begin",
        "t",
        "ts",
        "timeperiodstart",
        "gmttime",
        "utctime",
        "timeutc",
        "utc",
        "datetimeutc",
        "dateutc",
        "timestamputc",
        "timestampms",
    ]
)
CLOSE_STAMPS: Final = frozenset(
    ["closetime", "closetimestamp", "end", "endtime", "timeperiodend", "timestampclose"]
)
LOCAL_STAMPS: Final = frozenset(
    {"localtime", "localdate", "localdatetime", "datelocal", "timelocal", "datetimelocal"}
)
NAMELESS: Final = frozenset({"", "unnamed0", "index"})
SYMBOLS: Final = frozenset(["symbol", "ticker", "pair", "productid", "market", "instrument"])
COINS: Final = (
    "AAVE|ADA|ALGO|APT|ARB|ATOM|AVAX|BCH|BNB|BONK|BTC|COMP|CRV|DASH|DOGE|DOT|EOS|ETC|ETH|FIL|FTM|GRT|HBAR|ICP|INJ|LINK|LTC|MANA|"
    "MATIC|MKR|NEAR|OP|PEPE|POL|SAND|SHIB|SNX|SOL|SUI|SUSHI|TON|TRX|UNI|VET|WIF|XBT|XLM|XMR|XRP|XTZ|YFI|ZEC"
)
"""Coins that are known in the name of a file, as a regular expression; others may be any word."""
CURRENCIES: Final = "USD|USDT|USDC|BUSD|FDUSD|TUSD|DAI|EUR|GBP|CHF|JPY|AUD|CAD|BRL|TRY|BTC|ETH|BNB"
PRICES: Final[Mapping[str, frozenset[str]]] = {
    "open": frozenset({"open", "o", "openprice", "priceopen"}),
    "high": frozenset({"high", "h", "highprice", "pricehigh"}),
    "low": frozenset({"low", "l", "lowprice", "pricelow"}),
    "close": frozenset({"close", "c", "closeprice", "priceclose"}),
}
VOLUMES: Final = frozenset(["volume", "v", "vol", "volumefrom", "basevolume", "volumebase", "volumetraded"])


def normalized(name: str) -> str:
    """Return a name without case, spaces and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def has_prices(names: Sequence[str]) -> bool:
    """Return whether names of columns include open, high, low and close."""
    found = set(map(normalized, names))
    return all(found & aliases for aliases in PRICES.values())
