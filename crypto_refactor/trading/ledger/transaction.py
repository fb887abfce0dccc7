"""Writing to the ledger: one transaction on one sub-account."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from crypto_refactor.execution.stepper import Step, SubAccountState
from crypto_refactor.execution.sub_account import Fill, Trade
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger.forecast_record import ForecastRecord, insert_forecast
from crypto_refactor.trading.ledger.order_record import OrderRecord
from crypto_refactor.trading.ledger.schema import state_to_json, stored


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
        for fill in fills:
            self._insert("fills", fill._asdict())
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

    def _mark_traded(self) -> None:
        self._connection.execute(
            "UPDATE accounts SET traded_at = ? WHERE name = ?", (self._now, self._key["account"])
        )

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        values = {**self._key, **row}
        names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
        self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)  # noqa: S608 - own names
