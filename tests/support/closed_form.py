"""The engine in closed form: an independent oracle of the event loop, in NumPy and without a loop.

It restates the contract from the money's point of view and shares no code with the package.  Between two
changes of target the account either rests in cash or holds one position opened with `size` of that cash:

    quantity = size * cash / (entry * (1 + fee))
    long:  cash after = cash * (1 - size + size * exit * (1 - fee) / (entry * (1 + fee)))
    short: cash after = cash * (1 + size * (1 - fee) / (1 + fee) - size * exit / entry)

so the cash is a running product of such factors.  Stops hang on the entry price alone, never on equity,
which is why they need no loop either.  Not covered: exit rules whose target depends on the position, gaps,
venue rounding, notional caps, borrow, the drawdown halt and ruin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClosedForm:
    """Equity and side at each close, and one element per position: rows of its fills and its net profit.

    `exit_row` is the number of bars where the position was still held at the end.
    """

    equity: np.ndarray
    side: np.ndarray
    direction: np.ndarray
    entry_row: np.ndarray
    exit_row: np.ndarray
    stopped: np.ndarray
    net_pnl: np.ndarray


def closed_form(
    opens, closes, target, *, balance, fee=0.0, slippage=0.0, size=1.0, stop_loss=None, take_profit=None
):
    """Trade `target`, the side wanted at each close, at the next open."""
    rows = np.arange(len(closes))
    direction, entry, leave = _spells(np.asarray(target), len(closes))
    entry_price = opens[entry] * (1 + direction * slippage)
    owner = np.full(len(closes), -1)
    owner[np.repeat(entry, leave - entry) + _offsets(leave - entry)] = np.repeat(
        np.arange(len(entry)), leave - entry
    )

    hit = np.zeros(len(closes), dtype=bool)
    moved = (
        direction[owner] * (closes - entry_price[owner]) / entry_price[owner] if len(entry) else closes * 0
    )
    if stop_loss is not None:
        hit |= moved <= -stop_loss
    if take_profit is not None:
        hit |= moved >= take_profit
    first_hit = np.full(len(entry), len(closes))
    np.minimum.at(first_hit, owner[hit & (owner >= 0)], rows[hit & (owner >= 0)])
    stopped = first_hit < leave
    leave = np.minimum(leave, first_hit + 1)

    over = leave < len(closes)
    exit_price = opens[np.minimum(leave, len(closes) - 1)] * (1 - direction * slippage)
    entry_cost = size * direction * (1 + direction * fee) / (1 + fee)
    exit_value = size * direction * (exit_price / entry_price) * (1 - direction * fee) / (1 + fee)
    factor = np.where(over, 1 - entry_cost + exit_value, 1.0)
    cash = balance * np.concatenate([[1.0], np.cumprod(factor)])

    held = (owner >= 0) & (rows < leave[owner] if len(leave) else False)
    mine = owner[held]
    equity = cash[np.searchsorted(leave, rows, side="right")]
    worth = size * direction[mine] * closes[held] / entry_price[mine] / (1 + fee)
    equity[held] = cash[mine] * (1 - entry_cost[mine] + worth)
    side = np.zeros(len(closes), dtype=int)
    side[held] = direction[mine]
    return ClosedForm(
        equity=equity,
        side=side,
        direction=direction,
        entry_row=entry,
        exit_row=leave,
        stopped=stopped,
        net_pnl=np.where(over, np.diff(cash), equity[-1] - cash[:-1]),
    )


def _spells(target, count):
    """Return (side, entry row, row of the exit if nothing stops it) of each spell of one target."""
    begins = np.flatnonzero(np.diff(target, prepend=target[0] + 1))
    entry = begins + 1
    leave = np.minimum(np.append(begins[1:], count) + 1, count)
    traded = (target[begins] != 0) & (entry < count)
    return target[begins][traded].astype(int), entry[traded], leave[traded]


def _offsets(lengths):
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
