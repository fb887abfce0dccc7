"""Every layout that people have becomes the same three bars, and says what it was taken for."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from datetime import UTC, datetime

import pytest

from crypto_refactor.errors import DataError
from crypto_refactor.market.conversion import Reading
from crypto_refactor.market.conversion.converter import read_foreign
from crypto_refactor.market.hours import parse_hour
from crypto_refactor.market.ticker import Ticker

BTC = Ticker("BTC", "USD")
FIRST = parse_hour("2024-01-13T00:00Z")
BARS = [
    ("101.5", "103.25", "100.75", "102.5", "12.125"),
    ("102.5", "104.0", "101.0", "103.75", "7.0"),
    ("103.5", "105.5", "103.0", "104.125", "0.5"),
]


def rows(stamp, cells="{stamp},{o},{h},{l},{c},{v}", **more):
    """Return one line for each bar; `stamp` formats the seconds at which it opens."""
    names = ("o", "h", "l", "c", "v")
    seconds = [(FIRST + place) * 3600 for place in range(3)]
    return [
        cells.format(stamp=stamp(at), **dict(zip(names, bar, strict=True)), **more)
        for at, bar in zip(seconds, BARS, strict=True)
    ]


def iso(seconds, form="%Y-%m-%dT%H:%M:%SZ"):
    return datetime.fromtimestamp(seconds, UTC).strftime(form)


def form(text):
    return lambda seconds: iso(seconds, text)


def klines(unit):
    def line(seconds, bar):
        last = (seconds + 3600) * unit - 1
        return ",".join([str(seconds * unit), *bar, str(last), "1", "2", "3", "4", "0"])

    return [line((FIRST + place) * 3600, bar) for place, bar in enumerate(BARS)]


KLINE_NAMES = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
KLINE_WORDS = (
    "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Number of trades,"
    "Taker buy base asset volume,Taker buy quote asset volume,Ignore"
)
PLAIN = "timestamp,open,high,low,close,volume"
LAYOUTS = {
    "Binance ms": (klines(1000), "Binance klines, milliseconds, oldest first, 3 bars"),
    "Binance us": (klines(10**6), "Binance klines, microseconds, oldest first, 3 bars"),
    "Binance us, newest first": (klines(10**6)[::-1], "Binance klines, microseconds, newest first, 3 bars"),
    "Binance with names": ([KLINE_NAMES, *klines(1000)], "Binance klines, milliseconds"),
    "Binance in words": ([KLINE_WORDS, *klines(1000)], "Binance klines, milliseconds"),
    "Binance with an index": (
        ["," + KLINE_NAMES, *(f"{at},{line}" for at, line in enumerate(klines(1000)))],
        "Binance klines, milliseconds",
    ),
    "Binance, ms and then us": (
        [klines(1000)[0], *klines(10**6)[1:]],
        "Binance klines, milliseconds and microseconds",
    ),
    "Binance by pandas": (
        [
            "open_time,open,high,low,close,volume,close_time,qav,n,tb,tq,ignore",
            *rows(form("%Y-%m-%d %H:%M:%S"), "{stamp},{o},{h},{l},{c},{v},x,1,2,3,4,0"),
        ],
        "Binance klines, dates without an offset, read as UTC",
    ),
    "CryptoDataDownload": (
        [
            "https://www.CryptoDataDownload.com",
            "unix,date,symbol,open,high,low,close,Volume BTC,Volume USD",
            *rows(
                lambda at: f"{at * 1000},{iso(at, '%Y-%m-%d %H:%M:%S')},BTC/USD",
                "{stamp},{o},{h},{l},{c},{v},9",
            )[::-1],
        ],
        "CryptoDataDownload, milliseconds, newest first, 3 bars",
    ),
    "CryptoDataDownload of old": (
        [
            "https://www.CryptoDataDownload.com",
            "Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USD",
            *rows(form("%Y-%m-%d %I-%p,BTCUSD"), "{stamp},{o},{h},{l},{c},{v},9")[::-1],
        ],
        "CryptoDataDownload, dates without an offset, read as UTC, newest first",
    ),
    "Kraken": (rows(str, "{stamp},{o},{h},{l},{c},{v},42"), "Kraken OHLCVT, seconds, oldest first, 3 bars"),
    "Kraken by its API": (rows(str, "{stamp},{o},{h},{l},{c},{c},{v},42"), "Kraken OHLC, seconds"),
    "Coinbase": (
        ["time,low,high,open,close,volume", *rows(str, "{stamp},{l},{h},{o},{c},{v}")[::-1]],
        "Coinbase candles, seconds, newest first",
    ),
    "Coinbase with an index": (
        [
            ",time,low,high,open,close,volume",
            *rows(form("%Y-%m-%d %H:%M:%S"), "7,{stamp},{l},{h},{o},{c},{v}"),
        ],
        "Coinbase candles, dates without an offset",
    ),
    "TradingView": (["time,open,high,low,close,Volume", *rows(str)], "TradingView, seconds"),
    "TradingView with indicators": (
        ["time,open,high,low,close,Plot,Volume,Volume MA", *rows(iso, "{stamp},{o},{h},{l},{c},1,{v},")],
        "TradingView, dates, oldest first",
    ),
    "TradingView in a zone": (
        ["time,open,high,low,close,Volume", *rows(lambda at: iso(at + 3600, "%Y-%m-%dT%H:%M:%S+01:00"))],
        "TradingView, dates, oldest first",
    ),
    "yfinance": (
        ["Datetime,Open,High,Low,Close,Volume", *rows(form("%Y-%m-%d %H:%M:%S+00:00"))],
        "yfinance, dates, oldest first",
    ),
    "yfinance, adjusted": (
        [
            "Datetime,Open,High,Low,Close,Adj Close,Volume",
            *rows(form("%Y-%m-%d %H:%M:%S+00:00"), "{stamp},{o},{h},{l},{c},{c},{v}"),
        ],
        "yfinance, dates",
    ),
    "yfinance, history": (
        [
            "Datetime,Open,High,Low,Close,Volume,Dividends,Stock Splits",
            *rows(form("%Y-%m-%d %H:%M:%S+00:00"), "{stamp},{o},{h},{l},{c},{v},0.0,0.0"),
        ],
        "yfinance, dates",
    ),
    "yfinance, two header lines more": (
        [
            "Price,Close,High,Low,Open,Volume",
            "Ticker,BTC-USD,BTC-USD,BTC-USD,BTC-USD,BTC-USD",
            "Datetime,,,,,",
            *rows(form("%Y-%m-%d %H:%M:%S+00:00"), "{stamp},{c},{h},{l},{o},{v}"),
        ],
        "yfinance, dates, oldest first, 3 bars",
    ),
    "yfinance, two tickers": (
        [
            "Ticker,ETH-USD,ETH-USD,ETH-USD,ETH-USD,ETH-USD,BTC-USD,BTC-USD,BTC-USD,BTC-USD,BTC-USD",
            "Price,Open,High,Low,Close,Volume,Open,High,Low,Close,Volume",
            "Datetime,,,,,,,,,,",
            *rows(form("%Y-%m-%d %H:%M:%S+00:00"), "{stamp},1,1,1,1,1,{o},{h},{l},{c},{v}"),
        ],
        "yfinance, dates",
    ),
    "alpaca-py": (
        [
            "symbol,timestamp,open,high,low,close,volume,trade_count,vwap",
            *rows(form("BTC/USD,%Y-%m-%d %H:%M:%S+00:00"), "{stamp},{o},{h},{l},{c},{v},3.0,101.0"),
        ],
        "alpaca-py, dates, oldest first, 3 bars",
    ),
    "alpaca-py, two symbols": (
        [
            "symbol,timestamp,open,high,low,close,volume,trade_count,vwap",
            "ETH/USD,2024-01-13 00:00:00+00:00,1,1,1,1,1,1,1",
            *rows(form("BTC/USD,%Y-%m-%d %H:%M:%S+00:00"), "{stamp},{o},{h},{l},{c},{v},3.0,101.0"),
        ],
        "alpaca-py, dates, oldest first, 3 bars",
    ),
    "freqtrade in CSV": (["date,open,high,low,close,volume", *rows(iso)], "freqtrade, dates"),
    "MetaTrader": (
        [
            "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
            *rows(form("%Y.%m.%d\t%H:%M:%S"), "{stamp}\t{o}\t{h}\t{l}\t{c}\t7\t{v}\t1"),
        ],
        "named columns, dates without an offset, read as UTC",
    ),
    "Dukascopy": (
        ["Gmt time,Open,High,Low,Close,Volume", *rows(form("%d.%m.%Y %H:%M:%S.000"))],
        "dates day-first without an offset, read as UTC",
    ),
    "Dukascopy, local": (
        [
            "Local time,Open,High,Low,Close,Volume",
            *rows(lambda at: iso(at + 3600, "%d.%m.%Y %H:%M:%S.000 GMT+0100")),
        ],
        "dates day-first, oldest first",
    ),
    "American": (["Date,Open,High,Low,Close,Vol", *rows(form("%m/%d/%Y %I:%M %p"))], "dates month-first"),
    "German": (
        [
            "Date;Open;High;Low;Close;Volume",
            *(
                line.replace(".", ",").replace("@", ".")
                for line in rows(form("%d@%m@%Y %H:%M"), "{stamp};{o};{h};{l};{c};{v}")
            ),
        ],
        "dates day-first without an offset, read as UTC, decimal commas",
    ),
    "thousands": (
        [PLAIN, *rows(iso, '{stamp},"1,{o}","1,{h}","1,{l}","1,{c}",{v}')],
        "plain CSV, dates, oldest first",
    ),
    "capital letters": (["Timestamp,Open,High,Low,Close,Volume", *rows(iso)], "plain CSV, dates"),
    "seconds": ([PLAIN, *rows(str)], "plain CSV, seconds"),
    "seconds as floats": ([PLAIN, *rows(lambda at: f"{at}.0")], "plain CSV, seconds"),
    "nanoseconds": ([PLAIN, *rows(lambda at: f"{at}000000000")], "plain CSV, nanoseconds"),
    "another column": (
        [PLAIN + ",trades", *rows(iso, "{stamp},{o},{h},{l},{c},{v},7")],
        "named columns, dates, oldest first, 3 bars (columns left out: trades)",
    ),
    "an index without a name": ([",open,high,low,close,volume", *rows(iso)], "named columns, dates"),
    "quoted": (
        [
            '"timestamp","open","high","low","close","volume"',
            *rows(iso, '"{stamp}","{o}","{h}","{l}","{c}","{v}"'),
        ],
        "plain CSV, dates",
    ),
    "semicolons": ([PLAIN.replace(",", ";"), *rows(iso, "{stamp};{o};{h};{l};{c};{v}")], "dates"),
    "decimal commas": (
        [
            PLAIN.replace(",", ";"),
            *(line.replace(".", ",") for line in rows(iso, "{stamp};{o};{h};{l};{c};{v}")),
        ],
        "decimal commas, oldest first, 3 bars",
    ),
    "tabs": ([PLAIN.replace(",", "\t"), *rows(iso, "{stamp}\t{o}\t{h}\t{l}\t{c}\t{v}")], "dates"),
    "no seconds": ([PLAIN, *rows(form("%Y-%m-%dT%H:%MZ"))], "plain CSV, dates"),
    "newest first": ([PLAIN, *rows(iso)[::-1]], "plain CSV, dates, newest first"),
    "in no order": ([PLAIN, *(rows(iso)[place] for place in (1, 0, 2))], "plain CSV, dates, in no order"),
    "compact stamps": ([PLAIN, *rows(form("%Y%m%d %H%M"))], "dates without an offset, read as UTC"),
    "short names": (["t,o,h,l,c,v", *rows(iso)], "named columns, dates"),
    "comments": (["# from somewhere", "", PLAIN, *rows(iso)], "plain CSV, dates"),
}
SIZES = {"thousands": 1000}


@pytest.fixture
def file(tmp_path):
    def write(content, name="bars.csv"):
        path = tmp_path / name
        if not isinstance(content, bytes):
            content = ("\n".join(content) + "\n").encode()
        path.write_bytes(content)
        return path

    return write


def check(found, add=0):
    order = found.opened.argsort()
    assert found.opened[order].tolist() == [FIRST, FIRST + 1, FIRST + 2]
    for place, name in enumerate(("open", "high", "low", "close", "volume")):
        more = add if name != "volume" else 0
        assert found.numbers[name][order].tolist() == [more + float(bar[place]) for bar in BARS]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_recognized_and_read(file, name):
    lines, described = LAYOUTS[name]
    found = read_foreign(file(lines), BTC, Reading())
    check(found, SIZES.get(name, 0))
    assert described in found.describe()


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_other_line_ends_are_read(file, ending):
    check(read_foreign(file((ending.join(LAYOUTS["Kraken"][0]) + ending).encode()), BTC, Reading()))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_of_the_encoding_are_understood(file, encoding):
    text = "\n".join(LAYOUTS["decimal commas"][0])
    check(read_foreign(file(text.encode(encoding)), BTC, Reading()))


@pytest.mark.parametrize("name", ["Binance us", "CryptoDataDownload", "yfinance"])
def test_a_packed_file_is_read_like_the_plain_one(file, name):
    content = "\n".join(LAYOUTS[name][0]).encode()
    check(read_foreign(file(gzip.compress(content), "x.csv.gz"), BTC, Reading()))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("BTCUSDT-1h.csv", content)
        archive.writestr("BTCUSDT-1h.CHECKSUM", b"0")
    check(read_foreign(file(packed.getvalue(), "x.zip"), BTC, Reading()))


NUMBERS = [[float(cell) for cell in bar] for bar in BARS]
STARTS = [(FIRST + place) * 3600 for place in range(3)]
BY_NAME = ("open", "high", "low", "close", "volume")
JSON = {
    "freqtrade": (
        [[at * 1000, *bar] for at, bar in zip(STARTS, NUMBERS, strict=True)],
        "freqtrade or ccxt, milliseconds",
    ),
    "Binance": (
        [
            [at * 1000, *bar, at * 1000 + 3_599_999, "1", 2, "3", "4", "0"]
            for at, bar in zip(STARTS, BARS, strict=True)
        ],
        "Binance klines, milliseconds",
    ),
    "Coinbase": (
        [[at, bar[2], bar[1], bar[0], bar[3], bar[4]] for at, bar in zip(STARTS, NUMBERS, strict=True)][::-1],
        "Coinbase candles, seconds, newest first",
    ),
    "Coinbase, new": (
        {
            "candles": [
                {"start": str(at)} | dict(zip(BY_NAME, bar, strict=True))
                for at, bar in zip(STARTS, BARS, strict=True)
            ]
        },
        "seconds",
    ),
    "Kraken": (
        {
            "error": [],
            "result": {
                "XXBTZUSD": [[at, *bar[:4], bar[3], bar[4], 9] for at, bar in zip(STARTS, BARS, strict=True)],
                "last": 1,
            },
        },
        "Kraken OHLC, seconds",
    ),
    "Alpaca": (
        {
            "bars": {
                "BTC/USD": [
                    {"t": iso(at), "n": 3, "vw": 101.0} | dict(zip("ohlcv", bar, strict=True))
                    for at, bar in zip(STARTS, NUMBERS, strict=True)
                ]
            },
            "next_page_token": None,
        },
        "dates",
    ),
}


@pytest.mark.parametrize("name", JSON)
def test_json_is_read(file, name):
    document, described = JSON[name]
    for path in (
        file(json.dumps(document).encode(), "x.json"),
        file(gzip.compress(json.dumps(document).encode()), "x.json.gz"),
    ):
        found = read_foreign(path, BTC, Reading())
        check(found)
        assert described in found.describe()


def test_a_feather_file_of_freqtrade_is_read(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow reads feather files; it is an extra")
    import pandas as pd

    frame = pd.DataFrame(NUMBERS, columns=list(BY_NAME))
    frame.insert(0, "date", pd.to_datetime(STARTS, unit="s", utc=True).astype("datetime64[ms, UTC]"))
    frame.to_feather(tmp_path / "x.feather")
    found = read_foreign(tmp_path / "x.feather", BTC, Reading())
    check(found)
    assert "freqtrade, dates" in found.describe()


def test_the_table_of_a_feather_file_is_read_like_any_other(file, monkeypatch):
    import pandas as pd

    frame = pd.DataFrame(NUMBERS, columns=list(BY_NAME))
    frame.insert(0, "date", pd.to_datetime(STARTS, unit="s", utc=True))
    monkeypatch.setattr("pandas.read_feather", lambda _: frame)
    found = read_foreign(file(b"ARROW1\0\0", "x.feather"), BTC, Reading())
    check(found)
    assert "freqtrade, dates" in found.describe()


def test_a_feather_file_without_pyarrow_names_what_is_missing(file, monkeypatch):
    def missing(*_, **__):
        raise ImportError("Missing optional dependency 'pyarrow'")

    monkeypatch.setattr("pandas.read_feather", missing)
    with pytest.raises(Exception, match="pyarrow is not installed") as caught:
        read_foreign(file(b"ARROW1\0\0" + b"\0" * 100, "x.feather"), BTC, Reading())
    assert "crypto-refactor[feather]" in caught.value.remedy


AMBIGUOUS = {
    "day or month": (
        ["Date,Open,High,Low,Close,Volume", "01/02/2024 00:00,1,1,1,1,1", "01/02/2024 01:00,1,1,1,1,1"],
        "--dates day-first",
    ),
    "no names": (["1704067200,1,1,1,1,1", "1704070800,1,1,1,1,1"], "--columns timestamp,open"),
    "stamps called close": (["close_time,open,high,low,close,volume", *rows(iso)], "--stamped close"),
    "a point or a comma": (
        [
            PLAIN.replace(",", ";"),
            "2024-01-01T00:00Z;1,500;1,500;1,500;1,500;2",
            "2024-01-01T01:00Z;1,500;1,500;1,500;1,500;2",
        ],
        "--decimal point or --decimal comma",
    ),
    "points that may part thousands": (
        [
            PLAIN.replace(",", ";"),
            "2024-01-01T00:00Z;1.500;1.500;1.500;1.500;2",
            "2024-01-01T01:00Z;1.500;1.500;1.500;1.500;2",
        ],
        "--decimal point",
    ),
    "local time": (["Local time,Open,High,Low,Close,Volume", *rows(form("%Y-%m-%d %H:%M"))], "--tz ZONE"),
    "another symbol": (
        ["symbol,timestamp,open,high,low,close,volume", *rows(form("BTCEUR,%Y-%m-%dT%H:%M:%SZ"))],
        "--symbol BTCEUR",
    ),
    "two volumes": ([PLAIN + ",vol", *rows(iso, "{stamp},{o},{h},{l},{c},{v},9")], "--columns"),
    "a volume in something else": (
        [
            "date,symbol,open,high,low,close,Volume ETH,Volume USD",
            *rows(form("%Y-%m-%d %H:%M:%S,BTC/USD"), "{stamp},{o},{h},{l},{c},{v},9"),
        ],
        "--columns",
    ),
    "two stamps that differ": (
        ["date,time,open,high,low,close,volume", *rows(form("%Y-%m-%dT%H:%M:%SZ,2024-01-01"))],
        "--columns",
    ),
    "half hours": ([PLAIN, *rows(lambda at: iso(at + 19_800, "%Y-%m-%d %H:%M:%S"))], "--tz Asia/Kolkata"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_can_be_read_in_two_ways_is_refused_with_the_option_that_decides(file, name):
    lines, option = AMBIGUOUS[name]
    with pytest.raises(DataError) as caught:
        read_foreign(file(lines), BTC, Reading())
    assert option in caught.value.remedy


@pytest.mark.parametrize("after", ["59:59", "59:59.999", "59:59.999999"])
def test_stamps_of_the_last_moment_are_closes_only_if_told_so(file, after):
    lines = [PLAIN, *rows(form(f"%Y-%m-%dT%H:{after}Z"))]
    with pytest.raises(DataError, match="look like the closes") as caught:
        read_foreign(file(lines), BTC, Reading())
    assert "--stamped close" in caught.value.remedy
    check(read_foreign(file(lines), BTC, Reading(stamped="close")))


def test_each_option_decides(file):
    day_first = [
        "Date,Open,High,Low,Close,Volume",
        "01/02/2024 00:00,1,1,1,1,1",
        "01/02/2024 01:00,1,1,1,1,1",
    ]
    for dates, start in (("day-first", "2024-02-01T00:00Z"), ("month-first", "2024-01-02T00:00Z")):
        found = read_foreign(file(day_first), BTC, Reading(dates=dates))
        assert found.opened[0] == parse_hour(start)
    named = file(["1704067200,1,4,2,3,5", "1704070800,1,4,2,3,5"])
    found = read_foreign(named, BTC, Reading(columns=("time", "low", "high", "open", "close", "volume")))
    assert [found.numbers[name][0] for name in BY_NAME] == [2, 4, 1, 3, 5]
    commas = file(
        [
            PLAIN.replace(",", ";"),
            *["2024-01-01T00:00Z;1,500;1,500;1,500;1,500;2", "2024-01-01T01:00Z;1,500;1,500;1,500;1,500;2"],
        ]
    )
    for decimal, price in (("comma", 1.5), ("point", 1500.0)):
        assert read_foreign(commas, BTC, Reading(decimal=decimal)).numbers["close"].tolist() == [price, price]
    shifted = file([PLAIN, *rows(lambda at: iso(at + 3600))])
    check(read_foreign(shifted, BTC, Reading(stamped="close")))
    symbol = file(["symbol,timestamp,open,high,low,close,volume", *rows(form("BTCEUR,%Y-%m-%dT%H:%M:%SZ"))])
    check(read_foreign(symbol, BTC, Reading(symbol="BTCEUR")))


def test_a_symbol_for_a_file_without_symbols_is_a_contradiction(file):
    with pytest.raises(DataError, match="names no symbols"):
        read_foreign(file([PLAIN, *rows(iso)]), BTC, Reading(symbol="BTCUSDT"))


def test_prices_in_another_dollar_are_taken_and_named(file, tmp_path):
    column = ["symbol,timestamp,open,high,low,close,volume", *rows(form("BTC/USDT,%Y-%m-%dT%H:%M:%SZ"))]
    found = read_foreign(file(column), BTC, Reading())
    check(found)
    assert found.other_dollar == "USDT"
    for name, dollar in {
        "BTCUSDT-1h-2024-01.csv": "USDT",
        "BTC_USDC-1h.csv": "USDC",
        "COINBASE_BTCUSD, 60.csv": None,
        "XBTUSD_60.csv": None,
        "btc-usd.csv": None,
        "bitstampUSD.csv": None,
        "my_usd.csv": None,
    }.items():
        path = tmp_path / name
        path.write_text("\n".join([PLAIN, *rows(iso)]), encoding="utf-8")
        found = read_foreign(path, BTC, Reading())
        check(found)
        assert found.other_dollar == dollar


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("COINBASE_ETHUSD, 60.csv", "ETHUSD"),
        ("eth_usd_1h.csv", "eth_usd"),
        ("BTCEUR.csv", "BTCEUR"),
        ("ETH_BTC-1h.csv", "ETH_BTC"),
    ],
)
def test_a_file_named_after_another_pair_is_refused_unless_it_is_named(tmp_path, name, pair):
    path = tmp_path / name
    path.write_text("\n".join([PLAIN, *rows(iso)]), encoding="utf-8")
    with pytest.raises(DataError, match=f"is named after {pair}, which is not BTC/USD") as caught:
        read_foreign(path, BTC, Reading())
    base, quote = pair[:3].upper(), pair[-3:].upper()
    assert caught.value.remedy == (
        f"write --ticker {base}/{quote}, or take its bars as BTC/USD all the same: --symbol {pair}."
    )
    taken = read_foreign(path, BTC, Reading(symbol=pair))
    check(taken)
    assert taken.other_pair == pair


def test_a_column_of_symbols_counts_more_than_the_name_of_the_file(tmp_path):
    path = tmp_path / "ETHUSD.csv"
    lines = ["symbol,timestamp,open,high,low,close,volume", *rows(form("BTCUSD,%Y-%m-%dT%H:%M:%SZ"))]
    path.write_text("\n".join(lines), encoding="utf-8")
    check(read_foreign(path, BTC, Reading()))
