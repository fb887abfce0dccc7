from __future__ import annotations

import pytest

from crypto_refactor.config import tickers_file
from crypto_refactor.errors import UsageError
from crypto_refactor.market.ticker import Ticker, read_tickers, supported_ticker


@pytest.mark.parametrize("text", ["BTC/USD", "btc/usd", " Btc/Usd\n"])
def test_a_pair_has_one_spelling_inside(text):
    ticker = Ticker.parse(text)
    assert (str(ticker), ticker.slug) == ("BTC/USD", "btc_usd")


@pytest.mark.parametrize(
    "text", ["", "BTC", "BTCUSD", "BTC-USD", "BTC/USD/EUR", "/USD", "BTC/", "BTC /USD", "../X/USD", "B/USD"]
)
def test_what_is_no_pair_is_a_usage_error(text):
    with pytest.raises(UsageError) as caught:
        Ticker.parse(text)
    assert "BASE/QUOTE" in caught.value.expected


def test_the_list_skips_blank_lines_comments_and_repeats(tmp_path):
    path = tmp_path / "tickers.txt"
    path.write_text("\ufeff# majors\nBTC/USD\n\neth/usd  # ether\nBTC/USD\n", encoding="utf-8")
    assert read_tickers(path) == (Ticker("BTC", "USD"), Ticker("ETH", "USD"))


def test_a_bad_line_of_the_list_is_named(tmp_path):
    path = tmp_path / "tickers.txt"
    path.write_text("BTC/USD\nETHUSD\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"Line 2 .*'ETHUSD'"):
        read_tickers(path)


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\xff\xfe\x00"])
def test_a_list_without_tickers_is_a_usage_error(tmp_path, content):
    path = tmp_path / "tickers.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="ticker list"):
        read_tickers(path)


def test_a_missing_list_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_tickers(tmp_path / "none.txt")


def test_only_listed_tickers_are_supported():
    assert supported_ticker("eth/usd", tickers_file()) == Ticker("ETH", "USD")
    with pytest.raises(UsageError, match="DOGE/USD is not a supported ticker"):
        supported_ticker("DOGE/USD", tickers_file())
