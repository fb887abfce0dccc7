"""The public client of market data, the same for every source."""

from datetime import datetime

from crypto_refactor.arguments import is_whole
from crypto_refactor.errors import DataError, UsageError
from crypto_refactor.market.bars import COLUMNS, Bars
from crypto_refactor.market.hours import Hour, as_hour, parse_instant, to_datetime, to_iso, zone
from crypto_refactor.market.sources.factory import AnySource, source_of
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.price_text import exact_text

MOUNTAIN = "America/Denver"
_ROWS_SHOWN = 5


class CryptoMarketDataClient:
    """Bars and prices of one source.

    Parameters
    ----------
    source : AnySource, optional
        An open source, its name, a folder, bars, or DataFrames by ticker (see `source_of`); by default the environment's
        ``CRYPTO_SOURCE``.

    Raises
    ------
    UsageError, DataError
        If there is no such source, or nothing says of which ticker its bars are.
    """

    def __init__(self, source: AnySource | None = None) -> None:
        self.source = source_of(source, None)

    def get_historical_bars(
        self,
        ticker: str | Ticker,
        hours: int | None = None,
        end: datetime | str | Hour | None = None,
        *,
        start: datetime | str | Hour | None = None,
    ) -> Bars:
        """Return the closed bars of the last `hours` hours, or from `start` on.

        Parameters
        ----------
        ticker : str or Ticker
            For example ``BTC/USD``.
        hours : int, optional
            Number of hours, at least 1; either this or `start`.
        end : datetime, str or Hour, optional
            The hour at which the last bar closes (see `as_hour`); by default the source's now.
        start : datetime, str or Hour, optional
            The hour at which the first bar opens, before `end`.

        Returns
        -------
        Bars
            At least one real bar; fewer than `hours` where the source has gaps.

        Raises
        ------
        UsageError
            If `ticker` is malformed, `hours` is below 1, or a time is none.
        UnavailableError
            If the source does not offer the ticker.
        DataError
            If the source has no bar in that range, cannot be reached, or provides no valid bars.
        """
        pair = Ticker.of(ticker)
        until = self.source.now(pair) if end is None else as_hour(end)
        since = _since(pair, hours, start, until)
        bars = self.source.bars(pair, since, until)
        if not len(bars):
            raise DataError(
                f"{self.source.name} has no bars of {pair} between {to_iso(since)} and {to_iso(until)}.",
                expected="at least one bar.",
                remedy="choose another range, ticker or source.",
            )
        return bars

    def get_latest_price(self, ticker: str | Ticker) -> float:
        """Return the most recent price in the quote currency, with the errors of `get_historical_bars`."""
        return self.source.latest_price(Ticker.of(ticker)).price

    @staticmethod
    def format_historical_summary(bars: Bars) -> str:
        """Return a few lines that summarise `bars`; times are UTC."""
        mark = " (SIMULATED)" if bars.simulated else ""
        title = f"{bars.ticker}: {len(bars):,} hourly bars from {bars.source}{mark}"
        if not len(bars):
            return title
        return "\n".join([title, *_totals(bars), "", *_last_rows(bars)])

    @staticmethod
    def to_mountain_time(stamp: datetime | str | Hour) -> datetime:
        """Convert an aware datetime, an ISO-8601 text or an hour since 1970 to Mountain Time (America/Denver).

        Raises
        ------
        UsageError
            If `stamp` is a datetime without a zone, or not an instant.
        """
        return _instant(stamp).astimezone(zone(MOUNTAIN))


def _since(ticker: Ticker, hours: int | None, start: datetime | str | Hour | None, until: Hour) -> Hour:
    """Return the hour at which bars up to `until` start."""
    if (hours is None) == (start is None):
        raise UsageError(
            f"{'Neither hours nor start was' if hours is None else 'Both hours and start were'} given for {ticker}.",
            expected="one of the two: how many hours, or the hour at which they start.",
            remedy="correct the call.",
        )
    if start is not None:
        since = as_hour(start)
        if since >= until:
            raise UsageError(
                f"The bars of {ticker} would start at {to_iso(since)} and end at {to_iso(until)}.",
                expected="a start before the end.",
                remedy="correct one of the two.",
            )
        return since
    if not is_whole(hours) or hours < 1:
        raise UsageError(
            f"--hours is {hours!r} for {ticker}.",
            expected="a whole number of hours, at least 1.",
            remedy="correct --hours.",
        )
    return until - hours


def _instant(stamp: datetime | str | Hour) -> datetime:
    try:
        if not isinstance(stamp, datetime):
            return parse_instant(stamp) if isinstance(stamp, str) else to_datetime(stamp)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{stamp!r} is not an instant: {error}.",
            expected="an aware datetime, an ISO-8601 text or whole hours since 1970.",
            remedy="correct the time stamp.",
        ) from error
    if stamp.utcoffset() is None:
        # Neither the machine's zone nor UTC is right on every machine.
        raise UsageError(
            f"{stamp.isoformat()} is a datetime without a time zone.",
            expected="an aware datetime.",
            remedy="add one, for example stamp.replace(tzinfo=datetime.UTC).",
        )
    return stamp


def _totals(bars: Bars) -> list[str]:
    first, last = bars.open[0], bars.close[-1]
    absent = int(bars.closed[-1] - bars.opened[0]) - len(bars) + int(bars.synthetic.sum())
    quote = bars.ticker.quote
    return [
        f"  from      {to_iso(int(bars.opened[0]))}",
        f"  to        {to_iso(int(bars.closed[-1]))}",
        f"  open      {exact_text(first)} {quote}",
        f"  close     {exact_text(last)} {quote} ({(last / first - 1) * 100:+.2f} %)",
        f"  high      {exact_text(bars.high.max())} {quote}",
        f"  low       {exact_text(bars.low.min())} {quote}",
        f"  volume    {exact_text(bars.volume.sum())} {bars.ticker.base}",
        f"  in gaps   {absent} h",
    ]


def _last_rows(bars: Bars) -> list[str]:
    tail = bars.rows(max(0, len(bars) - _ROWS_SHOWN), len(bars))
    rows = [[exact_text(value) for value in getattr(tail, name).tolist()] for name in COLUMNS]
    width = max([14, *(len(text) for column in rows for text in column)])
    lines = [
        f"  {to_iso(hour)}" + "".join(f" {column[row]:>{width}}" for column in rows)
        for row, hour in enumerate(tail.opened.tolist())
    ]
    return [f"  {'opened':20}" + "".join(f" {name:>{width}}" for name in COLUMNS), *lines]
