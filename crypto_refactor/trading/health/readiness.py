"""Whether the next hour finds its bars, its model and its money."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crypto_refactor.errors import BrokerError, DataError, ModelError, UsageError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import Hour, to_iso
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model import artifact
from crypto_refactor.model.cache import ModelProvider, cache_path
from crypto_refactor.model.history import bars_with_history
from crypto_refactor.model.named_models import model_path
from crypto_refactor.model.recipe import TRAINING_LIBRARIES
from crypto_refactor.model.schedule import cutoff_for, refit_periods
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.trading.account_status import AccountStatus, TickerStatus
from crypto_refactor.trading.brokers import Broker
from crypto_refactor.trading.health.finding import Finding, failed, fine, of_error, warning
from crypto_refactor.trading.health.machine import installed_version
from crypto_refactor.trading.ledger import Ledger
from crypto_refactor.trading.model_choice import FirstUsedModelSelector

_SMALLEST_ENTRY = 10.0
"""Alpaca's smallest buy, in dollars; with less a flat sub-account enters nothing."""
_SHORT_BY = 0.01
"""The share of the sub-accounts' cash by which buying power may fall short, as before a pass."""


def settings_of(about: Mapping[str, Any]) -> ModelSettings:
    """Return the settings of the models that an account was traded with last.

    Raises
    ------
    UsageError
        If the ledger has none, or they name plug-ins, of which it keeps the hashes alone.
    """
    values = dict(about.get("settings") or {})
    plugins = values.pop("plugins", [])
    if not values or plugins:
        what = (
            "plug-ins, of which the ledger keeps only the hashes" if plugins else "no record of its settings"
        )
        raise UsageError(
            f"The account was traded last with {what}.",
            expected="settings of this release, without plug-ins.",
            remedy="start the trading command itself: it checks its models before it trades.",
        )
    try:
        return ModelSettings(**values)
    except TypeError as error:
        raise UsageError(
            "The account was traded last with settings of another release.",
            expected="settings of this release.",
            remedy="trade in the account once more, which records them anew.",
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What the next hour of an account needs."""

    status: AccountStatus
    ledger: Ledger
    source: Source
    model_dir: Path
    installed: Callable[[str], str | None] = installed_version

    def findings(self) -> Iterator[Finding]:
        """Say for each ticker whether its bars and its model are there."""
        settings = settings_of(self.status.row.about)
        for part in self.status.tickers:
            yield from self._ticker(part, settings)

    def _ticker(self, part: TickerStatus, settings: ModelSettings) -> Iterator[Finding]:
        ticker = part.ticker
        try:
            now = self.source.now(ticker)
            bars, _ = bars_with_history(
                self.source, ticker, 1, now, settings, allow_gaps=False, allow_jumps=False, option=None
            )
        except DataError as error:
            yield of_error(f"bars of {ticker}", error)
            yield warning(
                f"model of {ticker}",
                "Its model was not checked: that needs its bars.",
                "correct what keeps the bars away, then run this again.",
            )
            return
        closed = int(bars.closed[-1])
        if closed < now:
            text = f"Its last bar closed at {to_iso(closed)}, {now - closed} h before the latest full hour."
            yield warning(f"bars of {ticker}", text, "none, if the bar is late by minutes only.")
        else:
            yield fine(f"bars of {ticker}", f"Its {len(bars):,} bars reach to {to_iso(closed)}.")
        pinned = self.status.row.about.get("model")
        check = self._pinned(ticker, pinned, bars, settings) if pinned else self._cached(bars, now, settings)
        yield from check

    def _pinned(self, ticker: Ticker, name: str, bars: Bars, settings: ModelSettings) -> Iterator[Finding]:
        check = f"model of {ticker}"
        path = model_path(self.model_dir, ticker, name, simulated=bars.simulated)
        model = artifact.read(path)
        if model is None:
            remedy = "train it with models/app_lstm.py, or trade without --model."
            yield failed(check, f"The pinned model {path} is missing.", remedy, ModelError.exit_code)
            return
        age = int(bars.closed[-1]) - model.card.trained_through
        text = f"The pinned model {path.name} has learnt from bars up to {age} h ago."
        if age > settings.refit_every:
            yield warning(check, text, "train it again with models/app_lstm.py; a pinned model never is.")
        else:
            yield fine(check, text)

    def _cached(self, bars: Bars, now: Hour, settings: ModelSettings) -> Iterator[Finding]:
        """Look for the model that decides at the next close, as the loop does, without training it."""
        check, due = f"model of {bars.ticker}", now + 1
        cutoff = cutoff_for(due, settings)
        (period,) = refit_periods(bars, due, due, settings)
        models = ModelProvider(folder=self.model_dir, settings=settings)
        used = self.ledger.models(self.status.row.name, bars.ticker)
        selector = FirstUsedModelSelector(self.ledger, self.status.row.name, models, None)
        if not selector.missing(bars, period):
            first_used = None if cutoff not in used else models.get(used[cutoff])
            model = first_used or models.get(models.job(bars, period)[0])
            assert model is not None, "it is not missing"
            age = now - model.card.trained_through
            yield fine(
                check, f"The model of the next close is there; it has learnt from bars up to {age} h ago."
            )
            return
        where = f"The model of the next close, of the cut-off {to_iso(cutoff)}, is not trained yet"
        unable = [package for package in TRAINING_LIBRARIES if self.installed(package) is None]
        if unable:
            yield failed(
                check,
                f"{where}, and it cannot be trained here: {', '.join(unable)} is not installed.",
                f"train it elsewhere into {self.model_dir / 'cache'}, or install what is missing.",
                ModelError.exit_code,
            )
        else:
            text = f"{where}; {self._earlier(used, now)}"
            yield warning(check, text, "none: a run trains it, and decides with the earlier one until then.")

    def _earlier(self, used: Mapping[Hour, str], now: Hour) -> str:
        """Return how old the model is that decides until then, in words."""
        for cutoff in sorted(used, reverse=True):
            model = artifact.read_if_valid(cache_path(self.model_dir, used[cutoff]), used[cutoff])
            if model is not None:
                return f"the one before has learnt from bars up to {now - model.card.trained_through} h ago."
        return "there is none before it."


def cash_findings(status: AccountStatus, broker: Broker | None) -> Iterator[Finding]:
    """Say whether there is money for the next entries, with the errors of the broker."""
    for part in status.tickers:
        if not part.account.side and part.account.cash < _SMALLEST_ENTRY:
            text = f"{part.ticker} is flat, and its {part.account.cash:,.2f} are too little for an entry."
            yield warning("cash", text, "none; a sub-account never lends and is never refilled.")
    if broker is None:
        yield fine("cash", f"The sub-accounts hold {status.cash:,.2f} in cash.")
        return
    snapshot = broker.account()
    if snapshot.blocked is not None:
        text = f"Alpaca's account accepts no orders: {snapshot.blocked}."
        yield failed("cash", text, "look at the account at Alpaca.", BrokerError.exit_code)
    short = snapshot.buying_power < status.cash * (1 - _SHORT_BY)
    text = f"Alpaca's account can buy for {snapshot.buying_power:,.2f}; the sub-accounts count on {status.cash:,.2f}."
    if short:
        remedy = "pay in the difference, or `crypto-refactor reconcile` to find where it went."
        yield failed("cash", f"{text} Nothing is entered.", remedy, BrokerError.exit_code)
    else:
        yield fine("cash", text)
