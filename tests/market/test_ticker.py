from __future__ import annotations

import sys
from pathlib import Path

import pytest

import crypto_refactor
from crypto_refactor.config import packaged_tickers, settings, tickers_file
from crypto_refactor.errors import UsageError
from crypto_refactor.market.ticker import Ticker, read_tickers


@pytest.mark.parametrize("text", ["BTC/USD", "btc/usd", " Btc/Usd\n"])
def test_a_pair_has_one_spelling_inside(text):
    ticker = Ticker.parse(text)
    assert (str(ticker), ticker.slug) == ("BTC/USD", "btc_usd")


@pytest.mark.parametrize("text", ["S/USD", "A/USD", "T/USD", "1INCH/USDT", "1000SATS/USD1"])
def test_renamed_and_unusual_coins_are_tickers(text):
    assert str(Ticker.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BTC",
        "BTCUSD",
        "BTC-USD",
        "BTC/USD/EUR",
        "/USD",
        "BTC/",
        "BTC /USD",
        "../X/USD",
        "B/U",
        "ABCDEFGHIJK/USD",
    ],
)
def test_what_is_no_pair_is_a_usage_error(text):
    with pytest.raises(UsageError) as caught:
        Ticker.parse(text)
    assert "BASE/QUOTE" in caught.value.expected


def test_the_list_skips_blank_lines_comments_and_repeats(tmp_path):
    path = tmp_path / "tickers.txt"
    path.write_text("\ufeff# majors\nBTC/USD\n\neth/usd  # ether\nBTC/USD\n", encoding="utf-8")
    assert read_tickers(path) == (Ticker("BTC", "USD"), Ticker("ETH", "USD"))


def test_a_bad_line_of_the_list_is_named_and_concerns_only_itself(tmp_path, caplog):
    path = tmp_path / "tickers.txt"
    path.write_text("BTC/USD\nETHUSD\nS/USD\n../x\n", encoding="utf-8")
    assert read_tickers(path) == (Ticker("BTC", "USD"), Ticker("S", "USD"))
    assert f"Line 2 of the ticker list {path}" in caplog.text
    assert "'ETHUSD'" in caplog.text
    assert "Line 4" in caplog.text


def test_a_list_of_bad_lines_only_is_refused(tmp_path):
    path = tmp_path / "tickers.txt"
    path.write_text("# mine\nETHUSD\n", encoding="utf-8")
    with pytest.raises(UsageError, match="line 2 is 'ETHUSD'"):
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


def test_a_list_that_is_far_too_large_is_refused(tmp_path):
    path = tmp_path / "tickers.txt"
    path.write_bytes(b"BTC/USD\n" * 200_000)
    with pytest.raises(UsageError, match="larger than a list of tickers"):
        read_tickers(path)


def test_a_list_that_is_missing_begins_as_a_copy_of_the_default(tmp_path):
    default, own = tmp_path / "default.txt", tmp_path / "user" / "data" / "tickers.txt"
    default.write_text("BTC/USD\n", encoding="utf-8")
    assert read_tickers(own, default) == (Ticker("BTC", "USD"),)
    own.write_text("ETH/USD\n", encoding="utf-8")
    assert read_tickers(own, default) == (Ticker("ETH", "USD"),)


def test_a_default_serves_where_no_copy_can_be_made(tmp_path):
    default = tmp_path / "default.txt"
    default.write_text("BTC/USD\n", encoding="utf-8")
    assert read_tickers(default / "below a file.txt", default) == (Ticker("BTC", "USD"),)


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Let the package believe that it lies in no checkout, and that the user's data folder is a temporary one."""
    monkeypatch.setattr("crypto_refactor.config.checkout_root", lambda: None)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("CRYPTO_TICKERS", raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.skipif(
    sys.platform != "linux", reason="XDG_DATA_HOME names the user's data folder on Linux only"
)
def test_without_a_checkout_the_list_lies_in_the_users_folder(installed, tmp_path):
    assert tickers_file() == tmp_path / "data" / "crypto-refactor" / "tickers.txt"
    assert packaged_tickers().parent == Path(crypto_refactor.__file__).parent


def test_the_environment_names_another_list_and_no_copy_takes_its_place(installed, tmp_path, monkeypatch):
    monkeypatch.setenv("CRYPTO_TICKERS", str(tmp_path / "mine.txt"))
    settings.cache_clear()
    assert tickers_file() == tmp_path / "mine.txt"
    assert packaged_tickers() is None
