"""Writing to the ledger: one transaction on one sub-account."""

import json
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from crypto_refactor.execution.stepper import Step, SubAccountState
from crypto_refactor.execution.sub_account import Fill, Trade
from crypto_refactor.market.bars import COLUMNS, Bars
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger.forecast_record import ForecastRecord, insert_forecast
from crypto_refactor.trading.ledger.order_record import OrderRecord
from crypto_refactor.trading.ledger.schema import state_from_json, state_to_json, stored


class LedgerTransaction:
    """Writes to one sub-account; see `Ledger.transaction`."""

    def __init__(self, connection: sqlite3.Connection, account: str, ticker: Ticker, now: str) -> None:
        self._connection = connection
        self._now = now
        self._account, self._ticker = account, ticker
        self._key = {"account": account, "ticker": str(ticker)}

    def open(self, state: SubAccountState) -> None:
        """Open the sub-account; the table refuses a second opening."""
        cash, at = state.account.cash, state.processed_through
        self._insert("holdings", {"opened_with": cash, "opened_at": at, "state": state_to_json(state)})
        self._insert("equity", {"bar": at, "equity": cash})

    def save_state(self, state: SubAccountState) -> None:
        """Replace the sub-account's state."""
        self._connection.execute(
            "UPDATE holdings SET state = :state WHERE account = :account AND ticker = :ticker",
            {"state": state_to_json(state), **self._key},
        )

    def record_bar(self, step: Step) -> None:
        """Record the fills, trades and equity of one bar, and the state after it."""
        self.record_fills(step.fills, step.trades)
        self._insert("equity", {"bar": step.state.processed_through, "equity": step.equity})
        self.save_state(step.state)

    def record_fills(self, fills: Sequence[Fill], trades: Sequence[Trade]) -> None:
        """Record fills and closed trades."""
        after = self._processed_through() if fills else 0
        for fill in fills:
            self._insert("fills", {**fill._asdict(), "after": after})
        for trade in trades:
            self._insert("trades", stored(trade._asdict()))
        if fills:
            self._mark_traded()

    def record_decision(self, bar: int, target: int, entry: dict[str, Any]) -> None:
        """Record a decision; the table refuses a second one at the same bar."""
        row = {"bar": bar, "target": target, "entry": json.dumps(entry, allow_nan=False)}
        self._insert("decisions", row)
        self._mark_traded()

    def record_forecast(self, forecast: ForecastRecord) -> None:
        """Record what a model forecasts, once for each close and model."""
        now = datetime.fromisoformat(self._now).astimezone(UTC).isoformat()
        insert_forecast(self._connection, self._account, self._ticker, forecast, now)

    def record_settings(self, bar: int, rules: dict[str, Any], before: SubAccountState) -> None:
        """Record what decides from the close `bar` on, where it differs from before.

        Parameters
        ----------
        bar : int
            Close of the first decision with these settings.
        rules : dict
            The execution rules, with the venue's own figures.
        before : SubAccountState
            The sub-account at that close, before the decision.
        """
        (about,) = self._connection.execute(
            "SELECT about FROM accounts WHERE name = :account", self._key
        ).fetchone() or ("{}",)
        written = json.dumps(rules, allow_nan=False)
        last = self._connection.execute(
            "SELECT about, rules FROM settings WHERE account = :account AND ticker = :ticker"
            " ORDER BY bar DESC LIMIT 1",
            self._key,
        ).fetchone()
        if last != (about, written):
            values = {"bar": bar, "about": about, "rules": written, "state": state_to_json(before)}
            self._insert("settings", values)

    def record_known_bars(self, bars: Bars) -> None:
        """Record bars as they are known now; an earlier record of one stays."""
        for row in range(len(bars)):
            protection = float(bars.protection_price[row])
            self._connection.execute(
                "INSERT OR IGNORE INTO known_bars VALUES (:account, :ticker, :bar, :open, :high, :low, :close,"
                " :volume, :synthetic, :protection)",
                {
                    **self._key,
                    **{name: float(getattr(bars, name)[row]) for name in COLUMNS},
                    "bar": int(bars.closed[row]),
                    "synthetic": int(bars.synthetic[row]),
                    "protection": None if math.isnan(protection) else protection,
                },
            )

    def record_event(self, kind: str, amount: float = 0.0) -> None:
        """Record what changes the sub-account and is no fill (see `LedgerEvent`)."""
        (fills,) = self._connection.execute(
            "SELECT count(*) FROM fills WHERE account = :account AND ticker = :ticker", self._key
        ).fetchone()
        after = self._processed_through()
        self._insert("events", {"after": after, "fills": fills, "kind": kind, "amount": amount})

    def record_model(self, cutoff: int, key: str) -> None:
        """Record that the cached model `key` decides for `cutoff`, replacing an earlier one."""
        self._connection.execute(
            "INSERT INTO models VALUES (:account, :ticker, :cutoff, :key)"
            " ON CONFLICT (account, ticker, cutoff) DO UPDATE SET key = excluded.key",
            {"cutoff": cutoff, "key": key, **self._key},
        )

    def add_intent(self, order: OrderRecord) -> None:
        """Record an order before it is sent; the table refuses a second one with its id."""
        self._insert("orders", {**asdict(order), "ticker": str(order.ticker)})

    def update_order(self, order: OrderRecord) -> None:
        """Replace what is known of an order."""
        self._connection.execute(
            "UPDATE orders SET sent_at = :sent_at, stage = :stage, filled_quantity = :filled_quantity,"
            " average_price = :average_price, detail = :detail WHERE client_order_id = :client_order_id",
            {**asdict(order), "ticker": str(order.ticker)},
        )

    def book_external_sale(self, broker_order_id: str, quantity: float) -> None:
        """Record how much of a sale by others is booked in all."""
        self._connection.execute(
            "INSERT INTO external_sales VALUES (:account, :order, :ticker, :quantity)"
            " ON CONFLICT (account, broker_order_id) DO UPDATE SET quantity = excluded.quantity",
            {"order": broker_order_id, "quantity": quantity, **self._key},
        )

    def _processed_through(self) -> int:
        """Return the close of the last bar that the sub-account has processed."""
        row = self._connection.execute(
            "SELECT state FROM holdings WHERE account = :account AND ticker = :ticker", self._key
        ).fetchone()
        return 0 if row is None else state_from_json(row[0]).processed_through

    def _mark_traded(self) -> None:
        self._connection.execute(
            "UPDATE accounts SET traded_at = ? WHERE name = ?", (self._now, self._key["account"])
        )

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        values = {**self._key, **row}
        names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
        self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)  # noqa: S608 - own names
