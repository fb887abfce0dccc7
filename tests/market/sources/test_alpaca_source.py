"""The Alpaca source, through the real SDK, against a server on this machine."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pydantic import SecretStr
from support.alpaca_data_server import AlpacaDataServer, body, cut, reset, silence, status, trickle

from crypto_refactor.errors import DataError, SourceFailedError, UnavailableError, UsageError
from crypto_refactor.market.bars import COLUMNS, Bars
from crypto_refactor.market.hours import floor_hour, to_iso
from crypto_refactor.market.sources.alpaca import AlpacaSource
from crypto_refactor.market.sources.bar_store import BarStore
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.transport.session import HttpLimits

# The SDK imports it whether it is used or not.
pytestmark = pytest.mark.filterwarnings("ignore:websockets.legacy is deprecated:DeprecationWarning")

BTC, ETH, SOL = (Ticker(base, "USD") for base in ("BTC", "ETH", "SOL"))
NOW = datetime(2024, 6, 10, 12, 0, 7, tzinfo=UTC)
HOUR = floor_hour(NOW)
LIMITS = HttpLimits(total=20, attempts=3, first_wait=0.5, max_wait=1.0)
# Each ends its fault by one bound alone, so a busy machine changes neither the message nor the count.
UNANSWERED = replace(LIMITS, read=0.15, first_wait=0.05)
TRICKLING = replace(LIMITS, read=15, total=0.6)
KEY, SECRET = "PKPLAINLYAKEY0000001", "sPlainlyASecretOfFortyCharacters00000002"


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server():
    with AlpacaDataServer(date=NOW) as running:
        yield running


@pytest.fixture
def waits():
    return []


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bars.sqlite"


@pytest.fixture
def new_source(server, path, clock, waits):
    def make(**options):
        defaults = {"url": server.url, "limits": LIMITS, "clock": clock, "sleep": waits.append}
        return AlpacaSource(path, **(defaults | options))

    return make


@pytest.fixture
def source(new_source):
    return new_source()


@pytest.fixture
def tape(random_bars, server):
    """Offer `count` bars of a ticker, the last one closed at `end`."""

    def make(count=200, *, end=HOUR, ticker=BTC, seed=0):
        whole = random_bars(1600, seed=seed, first=HOUR - 1500, ticker=ticker, source="alpaca")
        bars = whole.between(end - count, end)
        server.offer(bars)
        return bars

    return make


def same(left, right):
    return left.fingerprint() == right.fingerprint()


def edited(bars, row, **values):
    columns = {name: getattr(bars, name).copy() for name in COLUMNS}
    for name, value in values.items():
        columns[name][row] = value
    return Bars(ticker=bars.ticker, source=bars.source, opened=bars.opened, **columns)


def asked(server, since=0):
    return [request.range for request in server.requests[since:]]


def hours(first, last):
    return to_iso(first), to_iso(last)


def is_complete(error):
    return (
        error.exit_code == 3
        and all((error.what, error.expected, error.remedy))
        and "Traceback" not in str(error)
    )


# What comes back


def test_bars_arrive_as_alpaca_sent_them(source, tape):
    bars = tape()
    received = source.bars(BTC, HOUR - 200, HOUR)
    assert same(received, bars)
    assert received.source == source.name == "alpaca"


def test_three_pages_become_one_answer(source, server, tape):
    bars = tape(250)
    server.page_size = 100
    assert same(source.bars(BTC, HOUR - 250, HOUR), bars)
    assert [request.query.get("page_token") for request in server.requests] == [None, "100", "200"]


def test_a_hole_stays_a_hole_and_is_asked_for_once(source, server, tape):
    bars = tape()
    with_hole = bars.opened[50], bars.opened[59]
    rows = server.rows["BTC/USD"]
    server.rows["BTC/USD"] = [
        row for row in rows if not to_iso(with_hole[0]) <= row["t"] <= to_iso(with_hole[1])
    ]
    received = source.bars(BTC, HOUR - 200, HOUR)
    assert received.opened.tolist() == [*bars.opened[:50], *bars.opened[60:]]
    source.bars(BTC, HOUR - 200, HOUR)
    assert asked(server, 1) == [hours(HOUR - 3, HOUR - 1)]


def test_a_bar_of_quotes_only_has_volume_zero_and_is_valid(source, server, tape):
    bars = edited(tape(), 199, volume=0)
    server.offer(bars)
    assert same(source.bars(BTC, HOUR - 10, HOUR), bars.between(HOUR - 10, HOUR))


def test_what_alpaca_adds_or_leaves_out_beside_prices_does_not_matter(source, server, tape):
    bars = tape()
    for row in server.rows["BTC/USD"]:
        del row["n"], row["vw"]
        row["new"] = None
    assert same(source.bars(BTC, HOUR - 200, HOUR), bars)


def test_the_range_asked_for_is_the_range_returned(source, tape):
    bars = tape()
    assert same(source.bars(BTC, HOUR - 50, HOUR - 20), bars.between(HOUR - 50, HOUR - 20))
    assert len(source.bars(BTC, HOUR - 20, HOUR - 20)) == 0


def test_an_end_in_the_future_means_now(source, tape):
    bars = tape()
    assert same(source.bars(BTC, HOUR - 5, HOUR + 50), bars.between(HOUR - 5, HOUR))


def test_bars_before_the_listing_are_asked_for_once(source, server, tape):
    bars = tape(100)
    assert same(source.bars(BTC, HOUR - 500, HOUR), bars)
    source.bars(BTC, HOUR - 500, HOUR)
    assert asked(server, 1) == [hours(HOUR - 3, HOUR - 1)]


def test_a_hole_before_bars_already_stored_is_asked_for_once(source, server, tape):
    tape()
    rows = server.rows["BTC/USD"]
    server.rows["BTC/USD"] = [row for row in rows if not to_iso(HOUR - 110) <= row["t"] < to_iso(HOUR - 100)]
    source.bars(BTC, HOUR - 100, HOUR)
    source.bars(BTC, HOUR - 150, HOUR)
    assert len(source.bars(BTC, HOUR - 150, HOUR)) == 140
    assert asked(server, 3) == [hours(HOUR - 3, HOUR - 1)]


# The clock


def test_the_running_bar_is_neither_returned_nor_stored(source, server, tape, clock):
    bars = tape(200, end=HOUR + 1)
    received = source.bars(BTC, HOUR - 10, HOUR + 1)
    assert received.closed[-1] == HOUR
    final = edited(bars, 199, volume=bars.volume[199] * 2)
    server.offer(final)
    clock.now = server.date = NOW + timedelta(hours=1)
    assert same(source.bars(BTC, HOUR - 10, HOUR + 1), final.between(HOUR - 10, HOUR + 1))


def test_a_server_that_ignores_the_end_does_not_get_its_running_bar_in(source, server, tape):
    tape(200, end=HOUR + 1)
    server.always = body(json.dumps({"bars": server.rows, "next_page_token": None}))
    assert source.bars(BTC, HOUR - 10, HOUR).closed[-1] == HOUR


@pytest.mark.parametrize("minutes", [10, 300])
def test_a_fast_local_clock_does_not_close_a_bar_early(new_source, server, tape, clock, caplog, minutes):
    source, bars = new_source(), tape(200, end=HOUR + 1)
    server.date = datetime(2024, 6, 10, 12, 55, tzinfo=UTC)
    clock.now = server.date + timedelta(minutes=minutes)
    received = source.bars(BTC, HOUR - 10, HOUR + 1)
    assert same(received, bars.between(HOUR - 10, HOUR))
    assert source.clock_skew_seconds == pytest.approx(60 * minutes, abs=1)
    assert source.now(BTC) == HOUR
    assert "s ahead of Alpaca's" in caplog.text
    clock.now, server.date = (instant + timedelta(minutes=5) for instant in (clock.now, server.date))
    assert same(new_source().bars(BTC, HOUR - 10, HOUR + 1), bars.between(HOUR - 10, HOUR + 1))


def test_a_slow_local_clock_waits_for_itself(source, server, tape, clock, caplog):
    tape(200, end=HOUR + 1)
    server.date = NOW + timedelta(hours=1)
    assert source.bars(BTC, HOUR - 10, HOUR + 1).closed[-1] == HOUR
    assert source.clock_skew_seconds == pytest.approx(-3600, abs=1)
    assert "s behind Alpaca's" in caplog.text


def test_clocks_that_agree_are_not_mentioned(source, tape, caplog):
    tape()
    assert source.clock_skew_seconds is None
    source.bars(BTC, HOUR - 10, HOUR)
    assert source.clock_skew_seconds == 0
    assert caplog.text == ""


def test_the_second_the_servers_date_cuts_off_closes_no_bar(source, server, tape, clock):
    tape(200, end=HOUR + 1)
    clock.now = datetime(2024, 6, 10, 13, 0, 0, 200_000, tzinfo=UTC)
    server.date = datetime(2024, 6, 10, 12, 59, 59, tzinfo=UTC)
    assert source.bars(BTC, HOUR - 10, HOUR + 1).closed[-1] == HOUR
    assert source.clock_skew_seconds == pytest.approx(0, abs=1)


def test_an_answer_without_a_date_leaves_the_local_clock(source, server, tape):
    bars, server.dated = tape(), False
    assert same(source.bars(BTC, HOUR - 10, HOUR), bars.between(HOUR - 10, HOUR))
    assert source.clock_skew_seconds is None


def test_now_asks_alpacas_clock_once(source, server, clock):
    server.trades["BTC/USD"] = {"t": "2024-06-10T11:59:00Z", "p": 1.0}
    clock.now = NOW + timedelta(hours=2)
    assert [source.now(BTC), source.now(BTC)] == [HOUR, HOUR]
    assert len(server.requests) == 1


# Only what is missing


def test_a_later_run_asks_only_for_new_bars_and_the_last_few_again(new_source, server, tape, clock):
    tape(200)
    new_source().bars(BTC, HOUR - 100, HOUR)
    later = tape(210, end=HOUR + 10)
    clock.now = server.date = NOW + timedelta(hours=10)
    assert same(new_source().bars(BTC, HOUR - 100, HOUR + 10), later.between(HOUR - 100, HOUR + 10))
    assert asked(server, 1) == [hours(HOUR - 3, HOUR + 9)]


def test_an_earlier_start_asks_only_for_the_earlier_bars(source, server, tape):
    bars = tape(300)
    source.bars(BTC, HOUR - 100, HOUR)
    assert same(source.bars(BTC, HOUR - 150, HOUR), bars.between(HOUR - 150, HOUR))
    assert asked(server, 1) == [hours(HOUR - 150, HOUR - 101), hours(HOUR - 3, HOUR - 1)]


def test_history_is_asked_for_once_and_then_needs_no_network(source, server, tape):
    tape(300)
    first = source.bars(BTC, HOUR - 250, HOUR - 100)
    server.always = reset()
    assert same(source.bars(BTC, HOUR - 250, HOUR - 100), first)
    assert len(server.requests) == 1


def test_every_run_reaches_back_far_enough_to_see_whether_a_ticker_is_still_offered(source, server, tape):
    tape()
    source.bars(BTC, HOUR - 2, HOUR)
    assert asked(server) == [hours(HOUR - 73, HOUR - 1)]


def test_a_bar_that_arrives_late_is_found_on_the_next_call(source, server, tape):
    bars = tape()
    late = server.rows["BTC/USD"].pop()
    assert source.bars(BTC, HOUR - 10, HOUR).closed[-1] == HOUR - 1
    server.rows["BTC/USD"].append(late)
    assert same(source.bars(BTC, HOUR - 10, HOUR), bars.between(HOUR - 10, HOUR))


def test_an_outage_at_the_end_is_asked_for_again_however_long_ago_it_was(source, server, tape, clock):
    tape(200)
    assert source.bars(BTC, HOUR - 100, HOUR + 50).closed[-1] == HOUR
    clock.now = server.date = NOW + timedelta(hours=20)  # 20 h without a bar
    with pytest.raises(DataError, match="20 h before"):
        source.bars(BTC, HOUR - 100, HOUR + 20)
    filled = tape(240, end=HOUR + 40)  # Alpaca has filled it since
    clock.now = server.date = NOW + timedelta(hours=40)
    assert same(source.bars(BTC, HOUR - 100, HOUR + 40), filled.between(HOUR - 100, HOUR + 40))


def test_a_revised_bar_is_logged_and_replaces_the_stored_one(source, server, tape, caplog):
    bars = tape()
    source.bars(BTC, HOUR - 10, HOUR)
    revised = edited(bars, 198, volume=bars.volume[198] + 1)
    server.offer(revised)
    assert same(source.bars(BTC, HOUR - 10, HOUR), revised.between(HOUR - 10, HOUR))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"revised or withdrew a BTC/USD bar that was stored as {bars.row_text(198)}" in caplog.text
    caplog.clear()
    source.bars(BTC, HOUR - 10, HOUR)
    assert caplog.text == ""


def test_bars_of_another_address_are_kept_apart(new_source, tape, server):
    tape()
    new_source().bars(BTC, HOUR - 10, HOUR - 5)
    new_source(url=server.url.replace("127.0.0.1", "localhost")).bars(BTC, HOUR - 10, HOUR - 5)
    assert len(server.requests) == 2


# Several tickers


def test_several_tickers_take_one_request(source, server, tape):
    offered = {ticker: tape(ticker=ticker, seed=number) for number, ticker in enumerate((BTC, ETH, SOL))}
    server.page_size = 70
    source.prefetch(offered, 100, HOUR)
    pages = len(server.requests)
    assert all(request.symbols == ["BTC/USD", "ETH/USD", "SOL/USD"] for request in server.requests)
    for ticker, bars in offered.items():
        assert same(source.bars(ticker, HOUR - 100, HOUR), bars.between(HOUR - 100, HOUR))
    assert len(server.requests) == pages
    source.bars(BTC, HOUR - 100, HOUR)  # served once from what was prefetched, then asked again
    assert len(server.requests) == pages + 1


def test_tickers_that_lack_different_hours_share_what_they_share(source, server, tape):
    for number, ticker in enumerate((BTC, ETH)):
        tape(300, ticker=ticker, seed=number)
    source.bars(BTC, HOUR - 100, HOUR - 10)
    source.prefetch([BTC, ETH, BTC], 100, HOUR)
    assert [(request.symbols, request.range) for request in server.requests[1:]] == [
        (["BTC/USD"], hours(HOUR - 11, HOUR - 1)),  # with the last bar that is known
        (["ETH/USD"], hours(HOUR - 100, HOUR - 1)),
    ]
    source.prefetch([BTC, ETH], 100, HOUR)
    assert [(request.symbols, request.range) for request in server.requests[3:]] == [
        (["BTC/USD", "ETH/USD"], hours(HOUR - 3, HOUR - 1))
    ]


def test_an_unknown_symbol_among_several_spoils_only_its_own_bars(source, server, tape):
    btc, eth = tape(), tape(ticker=ETH, seed=1)
    server.invalid.add("SOL/USD")
    source.prefetch([BTC, SOL, ETH], 10, HOUR)
    assert same(source.bars(BTC, HOUR - 10, HOUR), btc.between(HOUR - 10, HOUR))
    assert same(source.bars(ETH, HOUR - 10, HOUR), eth.between(HOUR - 10, HOUR))
    with pytest.raises(UnavailableError):
        source.bars(SOL, HOUR - 10, HOUR)


def test_what_was_prefetched_an_hour_ago_does_not_stand_for_now(source, server, tape, clock):
    tape(200)
    tape(200, ticker=ETH, seed=1)
    source.prefetch([BTC, ETH], 10, HOUR)
    later = tape(201, end=HOUR + 1)
    clock.now = server.date = NOW + timedelta(hours=1)
    assert same(source.bars(BTC, HOUR - 10, HOUR + 1), later.between(HOUR - 10, HOUR + 1))


# Tickers that are not, or no longer, offered


def test_a_ticker_without_any_bars_is_unavailable_and_asked_for_again(source, server):
    for _ in range(2):
        with pytest.raises(UnavailableError, match="no ETH/USD bar in the 72 h") as caught:
            source.bars(ETH, HOUR - 10, HOUR)
    assert is_complete(caught.value)
    assert len(server.requests) == 4  # each time the bars, and whether it has traded lately


def test_a_symbol_alpaca_refuses_is_unavailable(source, server, waits):
    server.invalid.add("ETH/USD")
    with pytest.raises(UnavailableError, match="invalid symbol: ETH/USD") as caught:
        source.bars(ETH, HOUR - 10, HOUR)
    assert is_complete(caught.value)
    assert waits == []


@pytest.mark.parametrize("ago", [0, 1000])  # the same for any end, not only for one near now
@pytest.mark.parametrize(
    ("late", "kind"), [(0, None), (3, None), (4, DataError), (72, DataError), (73, UnavailableError)]
)
def test_how_long_before_the_end_the_last_bar_closed_decides(source, tape, ago, late, kind):
    end = HOUR - ago
    bars = tape(200, end=end - late)
    if kind is None:
        assert same(source.bars(BTC, end - 100, end), bars.between(end - 100, end))
        return
    with pytest.raises(DataError) as caught:
        source.bars(BTC, end - 100, end)
    assert type(caught.value) is kind
    assert is_complete(caught.value)
    assert ("delisted or renamed" in str(caught.value)) == (kind is DataError)


# The latest price


def test_the_latest_price_is_that_of_the_latest_trade(source, server):
    server.trades["BTC/USD"] = {
        "t": "2024-06-10T11:59:58.123456789Z",
        "p": 69_420.5,
        "s": 0.1,
        "tks": "B",
        "i": 1,
    }
    latest = source.latest_price(BTC)
    assert (latest.price, latest.at) == (69_420.5, "2024-06-10T11:59:58Z")


@pytest.mark.parametrize("trade", [None, {"t": "2024-06-07T10:59:58Z", "p": 1.0}])
def test_a_ticker_without_recent_trades_has_no_latest_price(source, server, trade):
    if trade:
        server.trades["BTC/USD"] = trade
    with pytest.raises(UnavailableError) as caught:
        source.latest_price(BTC)
    assert is_complete(caught.value)


@pytest.mark.parametrize(
    "trade",
    [
        {},
        {"t": "2024-06-10T11:59:58Z", "p": 0},
        {"t": "noon", "p": 1},
        {"t": "2024-06-10T11:00Z", "p": "1"},
        [1],
    ],
)
def test_a_trade_that_is_none_is_refused(source, server, trade):
    server.trades["BTC/USD"] = trade
    with pytest.raises(DataError, match="latest BTC/USD price") as caught:
        source.latest_price(BTC)
    assert is_complete(caught.value)


# Faults


def test_429_then_success_waits_as_long_as_asked(source, server, tape, waits):
    bars = tape()
    server.script = [status(429, Retry_After="1")]
    assert same(source.bars(BTC, HOUR - 10, HOUR), bars.between(HOUR - 10, HOUR))
    assert waits == [1.0]


def test_429_with_a_date_or_a_reset_time_waits_until_then(new_source, server, tape, waits):
    tape()
    at = NOW + timedelta(seconds=20)
    server.script = [
        status(429, Retry_After=at.strftime("%a, %d %b %Y %H:%M:%S GMT")),
        status(429, X_RateLimit_Reset=str(int(at.timestamp()))),
    ]
    new_source(limits=HttpLimits()).bars(BTC, HOUR - 10, HOUR)
    assert waits == [20.0, 20.0]


def test_a_wait_beyond_the_bound_is_not_waited_for(source, server, waits):
    server.always = status(429, Retry_After="3600")
    with pytest.raises(DataError, match="429") as caught:
        source.bars(BTC, HOUR - 10, HOUR)
    assert is_complete(caught.value)
    assert waits == []


@pytest.mark.parametrize("text", ["soon", "-5", "nan", "1e400", "", "Mon, 99 Foo"])
def test_a_wait_that_cannot_be_read_is_backed_off_as_usual(source, server, tape, waits, text):
    tape()
    server.script = [status(429, Retry_After=text, X_RateLimit_Reset=text)]
    source.bars(BTC, HOUR - 10, HOUR)
    assert 0.25 <= waits[0] <= 0.5


def test_backing_off_doubles_up_to_its_bound_with_jitter(new_source, server, waits):
    server.always = status(503)
    limits = HttpLimits(total=1000, attempts=8, first_wait=1, max_wait=10)
    with pytest.raises(DataError, match="503"):
        new_source(limits=limits).bars(BTC, HOUR - 10, HOUR)
    assert len(waits) == 7
    for wait, most in zip(waits, [1, 2, 4, 8, 10, 10, 10], strict=True):
        assert most / 2 <= wait <= most


def test_every_retried_fault_can_be_survived(new_source, server, tape, waits):
    bars = tape()
    server.script = [
        status(500),
        status(502, "<html>", content_type="text/html"),
        reset(),
        cut(),
        silence(),
        status(504),
    ]
    received = new_source(limits=HttpLimits(read=0.15, attempts=7)).bars(BTC, HOUR - 10, HOUR)
    assert same(received, bars.between(HOUR - 10, HOUR))
    assert len(waits) == 6


HTML = "<html><head><title>502 Bad Gateway</title></head></html>"
BAR = {"t": to_iso(HOUR - 1), "o": 1, "h": 2, "l": 1, "c": 2, "v": 5, "n": 1, "vw": 1.5}


def answer(**changes):
    return body(json.dumps({"bars": {"BTC/USD": [BAR | changes]}, "next_page_token": None}))


def without(name):
    return body(json.dumps({"bars": {"BTC/USD": [{k: v for k, v in BAR.items() if k != name}]}}))


# fault, requests it takes, text in the message
FAULTS = {
    "500": (status(500), 3, "500"),
    "503 with an HTML page": (status(503, HTML, content_type="text/html"), 3, "Bad Gateway"),
    "504, which the SDK would repeat by itself": (status(504), 3, "504"),
    "429 without a code": (status(429, '{"message": "too many requests."}'), 3, "too many requests"),
    "reset": (reset(), 3, "request to Alpaca for BTC/USD bars failed"),
    "cut off": (cut(), 3, "bars failed"),
    "never answers": (silence(), 3, "no answer in time"),
    "trickles": (trickle(), 1, "no complete answer within"),
    "400": (status(400, '{"message": "invalid start", "code": 40010001}'), 1, "invalid start"),
    "400 in UTF-8 that does not say so": (
        status(400, '{"message": "ungültig"}', content_type="text/plain"),
        1,
        "'ungültig'",
    ),
    "401": (status(401, HTML), 1, "401"),
    "403 without a code": (status(403, '{"message": "forbidden."}'), 1, "forbidden"),
    "404 that is a list": (status(404, "[]"), 1, "404"),
    "redirect": (status(302, "{}", Location="http://127.0.0.1:9/"), 1, "302"),
    "200 HTML": (body(HTML, content_type="text/html"), 1, "Bad Gateway"),
    "200 empty": (body(""), 1, "cannot be read: ''"),
    "204": (status(204, ""), 1, "cannot be read: ''"),
    "200 null": (body("null"), 1, "cannot be read: 'null'"),
    "200 list": (body("[]"), 1, "cannot be read"),
    "200 without bars": (body('{"message": "hm"}'), 1, "hm"),
    "bars: null": (body('{"bars": null, "next_page_token": null}'), 1, '"bars": null'),
    "bars: list": (body('{"bars": [], "next_page_token": null}'), 1, '"bars": []'),
    "bars of the ticker: null": (body('{"bars": {"BTC/USD": null}}'), 1, '"BTC/USD": null'),
    "a bar: null": (body('{"bars": {"BTC/USD": [null]}}'), 1, "None is not a bar"),
    "the same page for ever": (body('{"bars": {}, "next_page_token": "x"}'), 2, "same page twice"),
    "an empty token for ever": (body('{"bars": {}, "next_page_token": ""}'), 2, "same page twice"),
    "no volume": (without("v"), 1, "'c': 2"),
    "no stamp": (without("t"), 1, "'c': 2"),
    "a price that is text": (answer(o="1"), 1, "'o': '1'"),
    "a price that is null": (answer(o=None), 1, "'o': None"),
    "a price that is true": (answer(o=True), 1, "'o': True"),
    "a price that is NaN": (
        body(json.dumps({"bars": {"BTC/USD": [BAR | {"o": np.nan}]}})),
        1,
        "every value finite",
    ),
    "a negative price": (answer(l=-1), 1, "prices above 0"),
    "a high below the close": (answer(h=1.5), 1, "low <= open, close <= high"),
    "a stamp that is no text": (answer(t=1718020800), 1, "1718020800"),
    "a stamp out of time": (answer(t="2024-13-01T00:00:00Z"), 1, "2024-13-01"),
    "a bar between two hours": (answer(t="2024-06-10T11:30:00Z"), 1, "2024-06-10T11:30:00Z"),
    "the only bar twice, each time another": (
        body(json.dumps({"bars": {"BTC/USD": [BAR, BAR | {"c": 1.5}]}})),
        1,
        "stands twice",
    ),
}


BOUNDS = {"never answers": UNANSWERED, "trickles": TRICKLING}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_a_typed_error_in_bounded_time_and_nothing_is_stored(new_source, server, path, name):
    fault, requests, text = FAULTS[name]
    server.always = fault
    source, began = new_source(limits=BOUNDS.get(name, LIMITS)), time.monotonic()
    with pytest.raises(DataError) as caught:
        source.bars(BTC, HOUR - 10, HOUR)
    assert time.monotonic() - began < LIMITS.total
    assert not isinstance(caught.value, UnavailableError)
    assert is_complete(caught.value)
    assert text in str(caught.value)
    assert len(str(caught.value)) < 600
    assert len(server.requests) == requests
    assert source._store.missing(BTC, HOUR - 10, HOUR) == [(HOUR - 10, HOUR)]
    assert len(source._store.read(BTC, 0, HOUR)) == 0


@pytest.mark.parametrize("fault", [status(500), reset(), body(""), body("<html>")])
def test_a_fault_on_a_later_page_stores_nothing_of_the_earlier_ones(source, server, tape, fault):
    bars = tape(250)
    source.bars(BTC, HOUR - 250, HOUR - 150)
    server.page_size, server.script = 60, [None, fault, fault, fault]
    with pytest.raises(DataError):
        source.bars(BTC, HOUR - 250, HOUR)
    assert same(source._store.read(BTC, 0, HOUR), bars.between(HOUR - 250, HOUR - 150))
    assert source._store.missing(BTC, HOUR - 250, HOUR) == [(HOUR - 150, HOUR)]
    server.script.clear()
    assert same(source.bars(BTC, HOUR - 250, HOUR), bars)  # and the next run repairs it


def test_an_address_nobody_listens_at_is_an_error_with_a_remedy(new_source):
    with AlpacaDataServer() as gone:
        url = gone.url
    with pytest.raises(DataError, match="refused") as caught:
        new_source(url=url).bars(BTC, HOUR - 10, HOUR)
    assert is_complete(caught.value)


def test_a_store_that_fails_is_not_asked_around(new_source, server, path, tape):
    tape()
    path.write_text("no database, and longer than a header of one hundred bytes would be " * 5)
    with pytest.raises(DataError, match="damaged"):
        new_source().bars(BTC, HOUR - 10, HOUR)
    assert server.requests == []


# Bars that are none, among others


def edit(**changes):
    return lambda rows, place: rows[place].update(changes)


def remove(name):
    return lambda rows, place: rows[place].pop(name)


def replace_row(value):
    def change(rows, place):
        rows[place] = value

    return change


def repeat_changed(rows, place):
    rows.insert(place, rows[place] | {"v": 1.0})


DEFECTS = {
    "low above close": edit(l=1e9, h=2e9),
    "high below close": edit(h=1e-9),
    "price 0": edit(o=0),
    "negative price": edit(c=-5.0),
    "NaN": edit(c=float("nan")),
    "infinite": edit(h=float("inf")),
    "null": edit(o=None),
    "text": edit(c="50000"),
    "true": edit(v=True),
    "negative volume": edit(v=-1.0),
    "no close": remove("c"),
    "no stamp": remove("t"),
    "a row that is null": replace_row(None),
    "a row that is a number": replace_row(7),
    "a row that is a list": replace_row([1, 2]),
    "off the hour": edit(t="2024-06-10T05:30:00Z"),
    "a stamp out of time": edit(t="2024-13-01T00:00:00Z"),
    "a stamp of 1970": edit(t="1970-01-01T00:00:00Z"),
    "a stamp of 9999": edit(t="9999-12-31T23:00:00Z"),
    "a stamp that is a number": edit(t=1718020800),
    "twice with other values": repeat_changed,
}
PLACES = {"hours ago": -7, "the newest": -1, "days ago": -60}


@pytest.mark.parametrize("prefetched", [False, True])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", DEFECTS)
def test_a_defective_bar_costs_itself_only(source, server, tape, name, place, prefetched, caplog):
    btc, eth = tape(), tape(ticker=ETH, seed=1)
    row = PLACES[place]
    DEFECTS[name](server.rows["ETH/USD"], row)
    # The exchange pages by time: a row without a usable one comes along all the same.
    server.always = everything(server)
    if prefetched:
        source.prefetch([BTC, ETH], 100, HOUR)
    received = source.bars(ETH, HOUR - 100, HOUR)
    lost = int(eth.opened[row])
    kept = eth.opened != lost
    assert received.fingerprint() == eth.take(kept).between(HOUR - 100, HOUR).fingerprint()
    assert same(source.bars(BTC, HOUR - 100, HOUR), btc.between(HOUR - 100, HOUR))
    if not name.startswith(("a stamp of", "off")):
        assert len(source.left_out(ETH)) == 1
        assert caplog.text.count("It costs at most that bar") == 1
    source.bars(ETH, HOUR - 100, HOUR)
    assert len(caplog.records) <= 1, "said once"
    assert source.left_out(BTC) == ()


def everything(server):
    """Answer with every row of what was asked for, whatever its stamp says."""

    def fault(handler):
        from urllib.parse import parse_qs, unquote, urlsplit

        query = parse_qs(urlsplit(unquote(handler.path)).query)
        found = {symbol: server.rows.get(symbol, []) for symbol in query["symbols"][0].split(",")}
        handler.answer(200, json.dumps({"bars": found, "next_page_token": None}))

    return fault


def test_a_defective_bar_is_asked_for_again_for_two_days_and_then_taken_as_missing(
    new_source, server, tape, clock
):
    bars = tape(260, end=HOUR + 60)
    row = 260 - 60 - 5
    fine = dict(server.rows["BTC/USD"][row])
    server.rows["BTC/USD"][row]["l"] = 1e9
    lost = int(bars.opened[row])
    for later in (0, 10, 40):
        clock.now = server.date = NOW + timedelta(hours=later)
        assert lost not in new_source().bars(BTC, HOUR - 100, HOUR + later).opened
    server.rows["BTC/USD"][row].update(fine)
    clock.now = server.date = NOW + timedelta(hours=42)
    assert same(new_source().bars(BTC, HOUR - 100, HOUR + 42), bars.between(HOUR - 100, HOUR + 42))


@pytest.mark.parametrize("kind", ["defective", "missing"])
def test_after_two_days_a_missing_bar_is_not_asked_for_any_more(new_source, server, tape, clock, kind):
    bars = tape(260, end=HOUR + 60)
    if kind == "defective":
        server.rows["BTC/USD"][195]["l"] = 1e9
    else:
        del server.rows["BTC/USD"][195]
    lost = int(bars.opened[195])
    for later in (0, 44, 46):
        clock.now = server.date = NOW + timedelta(hours=later)
        new_source().bars(BTC, HOUR - 100, HOUR + later)
    assert [request.range[0] <= to_iso(lost) for request in server.requests] == [True, True, False]


def test_a_known_bar_outlives_a_defective_row_in_its_place(source, server, tape):
    bars = tape()
    source.bars(BTC, HOUR - 10, HOUR)
    server.rows["BTC/USD"][-2]["c"] = None
    assert same(source.bars(BTC, HOUR - 10, HOUR), bars.between(HOUR - 10, HOUR))


def test_repeated_and_unordered_rows_cost_nothing(source, server, tape, caplog):
    bars = tape()
    rows = server.rows["BTC/USD"]
    rows.insert(50, dict(rows[180]))
    rows.reverse()
    server.always = everything(server)
    assert same(source.bars(BTC, HOUR - 200, HOUR), bars)
    assert "stands twice and was kept once" in caplog.text
    assert "not in time order" in caplog.text


def test_an_answer_in_which_nothing_can_be_read_is_no_fact(source, server, tape):
    bars = tape()
    source.bars(BTC, HOUR - 10, HOUR)
    for row in server.rows["BTC/USD"][-5:]:
        row["c"] = None
    with pytest.raises(SourceFailedError, match="cannot be read"):
        source.bars(BTC, HOUR - 10, HOUR)
    server.offer(bars)
    assert same(source.bars(BTC, HOUR - 10, HOUR), bars.between(HOUR - 10, HOUR))


EMPTY = {
    "no ticker": '{"bars": {}, "next_page_token": null}',
    "no row": '{"bars": {"BTC/USD": [], "ETH/USD": []}, "next_page_token": null}',
}


@pytest.mark.parametrize("prefetched", [False, True])
@pytest.mark.parametrize("later", [0, 1, 5])
@pytest.mark.parametrize("name", EMPTY)
def test_no_bars_of_a_ticker_whose_bars_are_known_is_no_fact(
    source, server, tape, clock, name, later, prefetched
):
    bars = tape(200 + later, end=HOUR + later)
    tape(200 + later, end=HOUR + later, ticker=ETH, seed=1)
    source.bars(BTC, HOUR - 10, HOUR)
    clock.now = server.date = NOW + timedelta(hours=later)
    server.always = body(EMPTY[name])
    if prefetched:
        source.prefetch([BTC, ETH], 10, HOUR + later)
    with pytest.raises(SourceFailedError, match="was received before") as caught:
        source.bars(BTC, HOUR - 10, HOUR + later)
    assert is_complete(caught.value)
    server.always = None
    assert same(source.bars(BTC, HOUR - 10, HOUR + later), bars.between(HOUR - 10, HOUR + later))


def test_no_bars_of_a_ticker_that_has_just_traded_is_no_fact(source, server):
    server.trades["BTC/USD"] = {"t": "2024-06-10T11:58:00Z", "p": 1.0}
    with pytest.raises(SourceFailedError, match="it traded at 2024-06-10T11:58:00Z"):
        source.bars(BTC, HOUR - 10, HOUR)
    server.trades["BTC/USD"] = {"t": "2024-06-08T11:58:00Z", "p": 1.0}
    with pytest.raises(UnavailableError):
        source.bars(BTC, HOUR - 10, HOUR)


@pytest.mark.parametrize("fault", [status(500), reset(), body("<html>"), body('{"bars": null}')])
def test_a_prefetch_that_fails_leaves_each_ticker_to_itself(source, server, tape, fault):
    btc, eth = tape(), tape(ticker=ETH, seed=1)

    def only_alone(handler):
        if "%2C" in handler.path or "," in handler.path:
            fault(handler)
        else:
            everything(server)(handler)

    server.always = only_alone
    source.prefetch([BTC, ETH], 10, HOUR)
    assert same(source.bars(BTC, HOUR - 10, HOUR), btc.between(HOUR - 10, HOUR))
    assert same(source.bars(ETH, HOUR - 10, HOUR), eth.between(HOUR - 10, HOUR))


def test_tickers_that_lack_different_late_hours_take_one_request(source, server, tape):
    for number, ticker in enumerate((BTC, ETH, SOL)):
        tape(ticker=ticker, seed=number)
        del server.rows[str(ticker)][-10 - number]
    source.prefetch([BTC, ETH, SOL], 100, HOUR)
    source.prefetch([BTC, ETH, SOL], 100, HOUR)
    assert [request.range for request in server.requests[1:]] == [hours(HOUR - 12, HOUR - 1)]


def test_clocks_that_stay_apart_are_mentioned_once(source, server, tape, clock, caplog):
    tape(200)
    clock.now = NOW + timedelta(seconds=30)
    for _ in range(3):
        source.bars(BTC, HOUR - 10, HOUR)
    clock.now = NOW
    source.bars(BTC, HOUR - 10, HOUR)
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "The local clock is 29 s ahead of Alpaca's.",
        "The local clock agrees with Alpaca's again.",
    ]


# Keys


@pytest.fixture
def keys():
    return {"api_key": SecretStr(KEY), "secret_key": SecretStr(SECRET)}


def test_keys_travel_in_the_headers(new_source, server, tape, keys):
    tape()
    new_source(**keys).bars(BTC, HOUR - 10, HOUR)
    sent = server.requests[0].headers
    assert (sent["APCA-API-KEY-ID"], sent["APCA-API-SECRET-KEY"]) == (KEY, SECRET)


def test_without_keys_no_header_is_sent(source, server, tape):
    tape()
    source.bars(BTC, HOUR - 10, HOUR)
    assert not [name for name in server.requests[0].headers if name.upper().startswith("APCA")]


@pytest.mark.parametrize(
    "url",
    [
        "http://data.alpaca.markets",
        "https://alpaca.markets.example.com",
        "https://notalpaca.markets",
        "https://example.com",
        "http://192.168.0.1:8000",
        "http://127.0.0.1.example.com",
    ],
)
def test_keys_are_refused_to_any_other_host(path, keys, url):
    with pytest.raises(UsageError, match="not sent") as caught:
        AlpacaSource(path, url=url, **keys)
    assert KEY not in str(caught.value)
    assert SECRET not in str(caught.value)
    AlpacaSource(path, url=url)  # bars need no keys


@pytest.mark.parametrize(
    "url",
    [
        None,
        "https://data.alpaca.markets/",
        "https://data.sandbox.alpaca.markets",
        "http://localhost:1",
        "http://127.0.0.2:1",
        "http://[::1]:1",
    ],
)
def test_keys_go_to_alpaca_and_to_this_machine(path, keys, url):
    AlpacaSource(path, url=url, **keys)


@pytest.mark.parametrize(
    "url",
    [
        "data.alpaca.markets",
        "ftp://data.alpaca.markets",
        "https://",
        "http://127.0.0.1:port",
        "http://127.0.0.1:99999",
        "http://user:hunter2@127.0.0.1:80",
        "http://127.0.0.1/v1beta3",
        "http://127.0.0.1?key=hunter2",
        "http://127.0.0.1#x",
        "http://[::1",
        " ",
    ],
)
def test_an_address_that_is_none_is_refused_without_repeating_it(path, url):
    with pytest.raises(UsageError, match="CRYPTO_ALPACA_DATA_URL") as caught:
        AlpacaSource(path, url=url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "secret"),
    [(KEY, None), (None, SECRET), (KEY, ""), (f"{KEY}\nX: y", SECRET), (KEY, "schlüssel"), ("a b", SECRET)],
)
def test_keys_that_cannot_be_keys_are_refused_without_showing_them(path, key, secret):
    with pytest.raises(UsageError, match="ALPACA_API_KEY") as caught:
        AlpacaSource(path, api_key=key and SecretStr(key), secret_key=secret and SecretStr(secret))
    assert not any(part and part in str(caught.value) for part in (key, secret))


def test_an_empty_pair_of_keys_is_none(path):
    AlpacaSource(path, url="https://example.com", api_key=SecretStr(""), secret_key=SecretStr(" "))


def test_keys_never_go_through_a_proxy_on_the_way_to_this_machine(
    new_source, server, tape, keys, monkeypatch
):
    tape()
    with AlpacaDataServer() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        new_source(**keys).bars(BTC, HOUR - 10, HOUR)
        assert proxy.requests == []
    assert len(server.requests) == 1


ECHO = f"you are {KEY} with {SECRET}"


@pytest.mark.parametrize(
    "fault",
    [
        status(403, json.dumps({"message": ECHO})),
        status(500, ECHO),
        body(ECHO),
        answer(o=ECHO),
        body(json.dumps({"bars": {"BTC/USD": ECHO}})),
        reset(),
        silence(),
    ],
)
def test_keys_appear_in_no_error_and_no_log(new_source, server, keys, fault, caplog):
    caplog.set_level(logging.DEBUG)
    server.always = fault
    with pytest.raises(DataError) as caught:
        new_source(**keys, limits=UNANSWERED).bars(BTC, HOUR - 10, HOUR)
    error, chain = caught.value, []
    while error is not None:
        chain.append(f"{error} {error!r}")
        error = error.__cause__ or error.__context__
    for text in (caplog.text, *chain):
        assert KEY not in text
        assert SECRET not in text
    assert KEY not in repr(vars(caught.value))


@pytest.mark.parametrize("hours_full", [1, 3])
def test_bars_that_cannot_be_stored_are_returned_to_a_run_that_trades(
    new_source, server, tape, clock, monkeypatch, hours_full
):
    source, whole = new_source(), tape()
    source.bars(BTC, HOUR - 100, HOUR - 5)

    def full(*_, **__):
        raise DataError("The disk is full.", expected="space.", remedy="make some.")

    with monkeypatch.context() as patch:
        patch.setattr(BarStore, "write", full)
        with pytest.raises(DataError, match="full"):
            source.bars(BTC, HOUR - 100, HOUR)
        source.stores_always = False
        for later in range(hours_full):
            clock.now = server.date = NOW + timedelta(hours=later)
            whole = tape(end=HOUR + later)
            assert same(source.bars(BTC, HOUR - 100, HOUR + later), whole.between(HOUR - 100, HOUR + later))
    source.bars(BTC, HOUR - 100, HOUR + later)
    requests = len(server.requests)
    assert same(new_source().bars(BTC, HOUR - 90, HOUR - 10), whole.between(HOUR - 90, HOUR - 10))
    assert len(server.requests) <= requests + 1
