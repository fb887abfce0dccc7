"""Whether the source of bars answers, and whether its clock agrees with this one."""

from __future__ import annotations

from collections.abc import Iterator

from crypto_refactor.errors import DataError
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.health.finding import Finding, failed, fine, warning
from crypto_refactor.trading.realtime.hourly_pass import MAX_SKEW_SECONDS

NOTICED_SECONDS = 5.0
"""Apart from this, clocks differ noticeably; from `MAX_SKEW_SECONDS` on nothing is traded."""


def source_findings(source: Source, ticker: Ticker) -> Iterator[Finding]:
    """Say whether the source answers, with the errors of `Source.now` and `Source.bars`."""
    now = source.now(ticker)
    bars = source.bars(ticker, now - 24, now)
    if not len(bars):
        yield failed(
            "source",
            f"The source {source.name} answers, without a bar of {ticker} in the day up to {to_iso(now)}.",
            "ask for another ticker; Alpaca may have renamed or delisted it.",
            DataError.exit_code,
        )
        return
    closed = to_iso(int(bars.closed[-1]))
    mark = " (SIMULATED)" if bars.simulated else ""
    yield fine(
        "source", f"The source {source.name}{mark} answers; its last bar of {ticker} closed at {closed}."
    )


def clock_findings(skews: dict[str, float | None]) -> Iterator[Finding]:
    """Say how far this clock is ahead of each one that could be asked, by its name."""
    known = {name: skew for name, skew in skews.items() if skew is not None}
    if not known:
        yield warning(
            "clock",
            "The clock was not checked: nothing with a clock of its own was reached.",
            "run this again where the source or the broker can be reached.",
        )
    for name, skew in known.items():
        text = f"This clock is {abs(skew):,.1f} s {'ahead of' if skew > 0 else 'behind'} that of {name}."
        remedy = "set this machine's clock by NTP: `timedatectl set-ntp true`."
        if abs(skew) > MAX_SKEW_SECONDS:
            yield failed("clock", f"{text} Nothing is traded.", remedy, DataError.exit_code)
        elif abs(skew) > NOTICED_SECONDS:
            yield warning("clock", text, remedy)
        else:
            yield fine("clock", text)
