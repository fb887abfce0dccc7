"""One sub-account's life as the ledger keeps it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from crypto_refactor.errors import BrokerError
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.stepper import BarSignal
from crypto_refactor.execution.sub_account import Fill, SubAccount
from crypto_refactor.market.bars import COLUMNS, Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.account_names import REALTIME_DEMO, is_at_broker
from crypto_refactor.trading.ledger import AccountRow, BookedFill, EventRow, Ledger, OrderRecord, OrderStatus
from crypto_refactor.trading.orders.account_review import ADOPTED, EXTERNAL
from crypto_refactor.trading.orders.lifecycle import CLOSED_BY_HAND
from crypto_refactor.trading.reconciliation.segments import Segment, read_segments

BY_HAND = frozenset({ADOPTED, EXTERNAL, CLOSED_BY_HAND})
"""Reasons of fills that no decision of the account has made."""


class NotKeptError(BrokerError):
    """The ledger does not keep what a reconciliation needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """A fill that no decision made, or an event, and after which close: coins `held` before the fill, or after the event."""

    after: int
    fill: Fill | None
    event: EventRow | None
    held: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderOutcome:
    """What became of the orders of one decision: the part that was filled, 1 for all of it, and why in words."""

    fraction: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Life:
    """A sub-account from the close `first`, before the decision there, to its last recorded close `end`.

    Attributes
    ----------
    start : SubAccount
        At `first`, before the decision.
    bars : Bars
        As they were known, gaps filled; the first closes at `first`.
    decisions : dict
        As they were recorded, by close.
    fills, events, orders : tuple
        In the order they were booked.
    marks : dict of int to float
        Recorded equity by close.
    model_keys : dict of int to str
        Key of the model the account used first, by cut-off.
    """

    account: str
    ticker: Ticker
    first: int
    end: int
    start: SubAccount
    segments: tuple[Segment, ...]
    bars: Bars
    decisions: Mapping[int, dict[str, Any]]
    fills: tuple[BookedFill, ...]
    events: tuple[EventRow, ...]
    orders: tuple[OrderRecord, ...]
    marks: Mapping[int, float]
    model_keys: Mapping[int, str]

    @property
    def at_broker(self) -> bool:
        """Whether orders went to a broker."""
        return is_at_broker(self.account)

    @property
    def realtime(self) -> bool:
        """Whether decisions were executed at once."""
        return self.at_broker or self.account == REALTIME_DEMO

    def segment(self, hour: int) -> Segment:
        """Return what was in force at the decision of `hour`."""
        return next(part for part in reversed(self.segments) if part.first <= hour)

    def rules(self, hour: int) -> ExecutionRules:
        """Return the execution rules in force at the decision of `hour`."""
        return self.segment(hour).rules

    def signal(self, hour: int) -> BarSignal | None:
        """Return what the model said at `hour`, as recorded."""
        plan = self.decisions[hour]["plan"]
        if plan is None:
            return None
        return BarSignal(**{**plan, "keep": None if plan["keep"] is None else tuple(plan["keep"])})

    @cached_property
    def executions(self) -> dict[tuple[int, str], tuple[Fill, ...]]:
        """The fills of each decision, by its hour and ``enter`` or ``exit``."""
        found: dict[tuple[int, str], tuple[Fill, ...]] = {}
        for booked in self.fills:
            if not self.is_undecided(booked):
                key = booked.fill.at, "enter" if booked.fill.reason == "entry" else "exit"
                found[key] = (*found.get(key, ()), booked.fill)
        return found

    def is_undecided(self, booked: BookedFill) -> bool:
        """Whether no decision made a fill: a person, or a protection between two closes, did."""
        fill = booked.fill
        if fill.reason in BY_HAND:
            return True
        # What a decision led to is booked after its close has been processed.
        between = booked.after < fill.at or fill.at not in self.decisions
        return self.realtime and fill.reason != "entry" and between

    @cached_property
    def _held(self) -> list[float]:
        """Coins held before each fill, and after the last one."""
        held, events = self.start.quantity, list(self.events)
        booked_before, path = self._fills_before, []
        for position, booked in enumerate((*self.fills, None)):
            while events and events[0].fills <= booked_before + position:
                event = events.pop(0)
                held -= event.amount if event.kind == "coins_less" else 0.0
            path.append(held)
            if booked is not None:
                fill = booked.fill
                rate = (
                    fill.fee / fill.notional
                    if self.rules(max(fill.at, self.first)).venue and fill.notional
                    else 0.0
                )
                held += fill.quantity * (1 - rate) if fill.side > 0 else -fill.quantity
        return path

    _fills_before: int = 0  # fills of the sub-account before this life

    @cached_property
    def happenings(self) -> tuple[Happening, ...]:
        """Everything that no decision made, in order."""
        found, events = [], list(self.events)
        for position, booked in enumerate((*self.fills, None)):
            while events and (booked is None or events[0].fills <= self._fills_before + position):
                event = events.pop(0)
                found.append(Happening(after=event.after, fill=None, event=event, held=self._held[position]))
            if booked is not None and self.is_undecided(booked):
                held = self._held[position]
                found.append(Happening(after=booked.after, fill=booked.fill, event=None, held=held))
        return tuple(found)

    @cached_property
    def outcomes(self) -> dict[tuple[int, str], OrderOutcome]:
        """What became of the orders of each decision, by its hour and ``enter`` or ``exit``; full fills are left out."""
        held = {
            (booked.fill.at, "exit"): before
            for booked, before in reversed(list(zip(self.fills, self._held, strict=False)))
        }
        found = {}
        for key, orders in self._orders_by_decision().items():
            if all(order.stage is OrderStatus.FILLED for order in orders):
                continue
            filled = sum(order.filled_quantity * (order.average_price or 0.0) for order in orders)
            ordered = sum(order.notional or 0.0 for order in orders)
            if key[1] == "exit":
                filled = sum(order.filled_quantity for order in orders)
                ordered = held.get(key, sum(order.quantity or 0.0 for order in orders[:1]))
            fraction = min(filled / ordered, 1.0) if ordered else 0.0
            words = {f"{order.stage}{': ' + order.detail if order.detail else ''}" for order in orders}
            text = f"{key[1]}: {fraction:.0%} of the order was filled ({'; '.join(sorted(words))})"
            found[key] = OrderOutcome(fraction=fraction, text=text)
        return found

    def _orders_by_decision(self) -> dict[tuple[int, str], list[OrderRecord]]:
        found: dict[tuple[int, str], list[OrderRecord]] = {}
        for order in self.orders:
            if order.is_bar_leg and order.bar in self.decisions:
                found.setdefault((order.bar, "enter" if order.is_entry else "exit"), []).append(order)
        return found

    def decided(self, hour: int, kind: str) -> bool:
        """Whether the account decided to ``enter`` or to ``exit`` at `hour`."""
        return kind in self.decisions.get(hour, {}).get("decided", ())

    def since(self, hour: int, start: SubAccount) -> "Life":
        """Return the part from the decision at `hour` on, where the sub-account was `start` before it."""
        fills = tuple(booked for booked in self.fills if booked.after >= hour)
        return replace(
            self,
            first=hour,
            start=start,
            bars=self.bars.between(hour - 1, self.end),
            decisions={bar: row for bar, row in self.decisions.items() if bar >= hour},
            fills=fills,
            events=tuple(event for event in self.events if event.after >= hour),
            orders=tuple(order for order in self.orders if order.bar >= hour),
            marks={bar: value for bar, value in self.marks.items() if bar >= hour},
            _fills_before=self._fills_before + len(self.fills) - len(fills),
        )


def read_life(ledger: Ledger, row: AccountRow, ticker: Ticker) -> Life:
    """Return the life of one sub-account, from the first close that the ledger keeps all of.

    Raises
    ------
    NotKeptError
        If an earlier version traded it, and no decision has been made since.
    BrokerError
        If the ledger cannot be read.
    """
    account = row.name
    settings = ledger.settings(account, ticker)
    marks = dict(ledger.equity(account, ticker))
    if not settings or not marks:
        raise NotKeptError(
            f"{ticker}: an earlier version kept neither the settings nor the bars of {account}.",
            expected="decisions of this version, which keeps both.",
            remedy="it can be reconciled from its next decision on.",
        )
    first, fills = settings[0].bar, ledger.booked_fills(account, ticker)
    kept = tuple(booked for booked in fills if booked.after >= first)
    return Life(
        account=account,
        ticker=ticker,
        first=first,
        end=max(marks),
        start=settings[0].before.account,
        segments=read_segments(ledger, settings, ticker),
        bars=_bars(ledger, row, ticker, first).between(first - 1, max(marks)),
        decisions={each["bar"]: each for each in _decisions(ledger, account, ticker, first)},
        fills=kept,
        events=tuple(event for event in ledger.events(account, ticker) if event.after >= first),
        orders=tuple(order for order in ledger.orders(account, ticker) if order.bar >= first),
        marks={bar: value for bar, value in marks.items() if bar >= first},
        model_keys=ledger.models(account, ticker),
        _fills_before=len(fills) - len(kept),
    )


def _decisions(ledger: Ledger, account: str, ticker: Ticker, first: int) -> Iterator[dict[str, Any]]:
    for row in ledger.decisions(account, ticker):
        if row["bar"] < first:
            continue
        if "plan" not in row:
            raise ledger.damaged(
                f"the decision on {ticker} at {to_iso(row['bar'])} in {account} is incomplete"
            )
        yield row


def _bars(ledger: Ledger, row: AccountRow, ticker: Ticker, first: int) -> Bars:
    rows = [known for known in ledger.known_bars(row.name, ticker) if known["bar"] >= first]
    return Bars(
        ticker=ticker,
        source=str(row.about.get("source")),
        opened=_column(rows, "bar", np.int64) - 1,
        synthetic=_column(rows, "synthetic", np.bool_),
        protection_price=np.array(
            [np.nan if known["protection"] is None else known["protection"] for known in rows]
        ),
        **{name: _column(rows, name, np.float64) for name in COLUMNS},
    )


def _column(rows: Sequence[Mapping[str, Any]], name: str, kind: type[np.generic]) -> Any:
    return np.array([row[name] for row in rows], dtype=kind)
