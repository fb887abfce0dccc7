"""Rows of tickers that are worked on side by side, in the order the tickers were asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.outcomes import Failure, TickerRow, failed_together


class RowsInTurn:
    """Passes rows on to `show` in the order of `tickers`: a row waits until every ticker before it has one.

    Neighbours that failed for one reason share a row, so failures also wait for the row after them.
    """

    def __init__(self, tickers: Sequence[Ticker], show: Callable[[TickerRow], None]) -> None:
        self._waited_for = list(tickers)
        self._show = show
        self._early: dict[Ticker, TickerRow] = {}
        self._failed: list[TickerRow] = []

    def take(self, row: TickerRow) -> None:
        """Take the row of a ticker, and show what its turn has come for."""
        self._early[row.ticker] = row
        while self._waited_for and self._waited_for[0] in self._early:
            self._pass_on(self._early.pop(self._waited_for.pop(0)))

    def end(self) -> None:
        """Show what still waits: no row comes any more."""
        for ticker in self._waited_for:
            if ticker in self._early:
                self._pass_on(self._early.pop(ticker))
        self._show_failed()

    def _pass_on(self, row: TickerRow) -> None:
        if isinstance(row, Failure):
            self._failed.append(row)
            return
        self._show_failed()
        self._show(row)

    def _show_failed(self) -> None:
        failed, self._failed = self._failed, []
        for row in failed_together(failed):
            self._show(row)
