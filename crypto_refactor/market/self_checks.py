"""Checks behind `test_historical_data.py` and `test_mountain_time.py`, each with its finding in words."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from crypto_refactor.errors import UsageError
from crypto_refactor.market.bars import COLUMNS, Bars, fill_gaps, price_rules
from crypto_refactor.market.client import MOUNTAIN, CryptoMarketDataClient
from crypto_refactor.market.hours import Hour, parse_hour, to_datetime, to_iso, to_local_text, zone
from crypto_refactor.market.quality import MAX_ABSENT_SHARE, STALE_HOURS, quality_report
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.price_text import exact_text


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCheck:
    """The property that was checked (`what`), whether it `holds`, and what was `found`, as the JSON names them."""

    what: str
    holds: bool
    found: str


def history_checks(source: Source, ticker: Ticker, hours: int, end: Hour) -> list[SelfCheck]:
    """Check the bars of the last `hours` hours up to `end`.

    Raises
    ------
    DataError
        If the source cannot be reached, or provides no valid bars.
    """
    client = CryptoMarketDataClient(source)
    bars = client.get_historical_bars(ticker, hours, end)
    report = quality_report(fill_gaps(bars), end - hours, end)
    absent = report.absent + report.late_hours + report.stale_hours
    age = end - int(bars.closed[-1])
    summary = client.format_historical_summary(bars)
    return [
        SelfCheck(
            what="enough bars",
            holds=absent <= MAX_ABSENT_SHARE * hours,
            found=f"{len(bars)} of {hours} hours have a bar: {report.late_hours} are missing at the start, "
            f"{report.stale_hours} at the end, {report.absent} in {len(report.gaps)} gaps",
        ),
        SelfCheck(
            what="whole hours in UTC, each once, in order",
            holds=bool((np.diff(bars.opened) >= 1).all()),
            found=f"{to_iso(int(bars.opened[0]))} to {to_iso(int(bars.opened[-1]))}",
        ),
        SelfCheck(what="prices and volumes are possible", holds=_possible(bars), found=_range(bars)),
        SelfCheck(
            what="prices are plausible: no bad tick, no level break",
            holds=not any(jump.refused for jump in report.jumps),
            found="; ".join(jump.text for jump in report.jumps) or "no close jumps",
        ),
        SelfCheck(
            what="closed bars, up to the end",
            holds=0 <= age <= STALE_HOURS,
            found=f"the last bar closed {age} h before {to_iso(end)}",
        ),
        SelfCheck(
            what="stamps are UTC opens of closed bars",
            holds=not source.doubts(ticker),
            found="; ".join(source.doubts(ticker)) or "nothing speaks against it",
        ),
        SelfCheck(
            what="the same bars when asked again",
            holds=client.get_historical_bars(ticker, hours, end).fingerprint() == bars.fingerprint(),
            found=f"fingerprint {bars.fingerprint()}",
        ),
        SelfCheck(
            what="the summary names ticker, bars and last close",
            holds=all(
                part in summary for part in (str(ticker), f"{len(bars):,}", exact_text(bars.close[-1]))
            ),
            found=summary.splitlines()[0],
        ),
    ]


def _possible(bars: Bars) -> bool:
    return all(
        bool(rows.all()) for rows in price_rules({name: getattr(bars, name) for name in COLUMNS}).values()
    )


def _range(bars: Bars) -> str:
    untraded = int((bars.volume == 0).sum())
    return f"lows and highs from {exact_text(bars.low.min())} to {exact_text(bars.high.max())}, {untraded} bars without a trade"


# What clocks in Denver showed, by the tz database: (UTC, local).
_DENVER_CLOCK = (
    ("2024-01-15T12:00Z", "2024-01-15 05:00 MST"),
    ("2024-07-15T12:00Z", "2024-07-15 06:00 MDT"),
    ("2024-03-10T08:00Z", "2024-03-10 01:00 MST"),
    ("2024-03-10T09:00Z", "2024-03-10 03:00 MDT"),
    ("2024-11-03T07:00Z", "2024-11-03 01:00 MDT"),
    ("2024-11-03T08:00Z", "2024-11-03 01:00 MST"),
)


def mountain_time_checks() -> list[SelfCheck]:
    """Check the conversion to Mountain Time: winter, summer and both clock changes."""
    texts = [(utc, local, to_local_text(parse_hour(utc), zone(MOUNTAIN))) for utc, local in _DENVER_CLOCK]
    checks = [
        SelfCheck(what=f"{utc} is {local}", holds=text == local, found=text) for utc, local, text in texts
    ]
    return [*checks, _round_trip(), _naive_is_refused()]


def _round_trip() -> SelfCheck:
    convert = CryptoMarketDataClient.to_mountain_time
    first, last = parse_hour("2024-01-01T00:00Z"), parse_hour("2025-01-01T00:00Z")
    # Python calls two aware times in different zones unequal where the clocks repeat an hour.
    changed = sum(convert(hour).astimezone(UTC) != to_datetime(hour) for hour in range(first, last))
    return SelfCheck(
        what="every hour of 2024 stays the same instant",
        holds=changed == 0,
        found=f"{changed} of {last - first} hours changed",
    )


def _naive_is_refused() -> SelfCheck:
    try:
        text = CryptoMarketDataClient.to_mountain_time(datetime(2024, 1, 1))  # noqa: DTZ001 - the point of it
    except UsageError as error:
        return SelfCheck(what="a time without a zone is refused", holds=True, found=error.what)
    return SelfCheck(what="a time without a zone is refused", holds=False, found=f"it was read as {text}")
