"""Why a decision came out as it did, in one sentence, and how it is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crypto_refactor.execution.decisions import Decision, Enter
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import Fill, SubAccount
from crypto_refactor.signals.conditions import CONDITIONS, SignalFrame
from crypto_refactor.trading.decider import ModelDecision

SIDES = {1: "long", 0: "flat", -1: "short"}


def explain(
    decided: ModelDecision,
    target: int,
    account: SubAccount,
    decisions: tuple[Decision, ...],
    rules: ExecutionRules,
    confirmations: int,
) -> str:
    """Say what the model found and what follows from it.

    Parameters
    ----------
    decided : ModelDecision
        What the model said.
    target : int
        The side wanted.
    account : SubAccount
        As it was when it was decided.
    decisions : tuple of Decision
        What follows.
    rules : ExecutionRules
        The execution rules.
    confirmations : int
        How many of nine are needed.
    """
    made = decided.made
    if not len(made):
        return "too many bars of its window are missing to decide" + (
            ", so the position is left" if decisions else ""
        )
    return f"{_signal(made, confirmations)}: {_consequence(made, target, account, decisions, rules)}"


def _signal(made: SignalFrame, needed: int) -> str:
    close, predicted, threshold = (
        float(made.close[-1]),
        float(made.predicted[-1]),
        float(made.threshold[-1]),
    )
    forecast = f"forecast {(predicted / close - 1) * 100:+.3f} %"
    limit = f"its threshold of {threshold / close * 100:.3f} %"
    held = made.held[-1]
    passed = int(held[1:].sum())
    if not held[0]:
        return f"{forecast} within {limit}"
    if passed >= needed:
        return f"{forecast} beyond {limit}, {passed} of 9 confirmations"
    missing = ", ".join(name for name, holds in zip(CONDITIONS[1:], held[1:], strict=True) if not holds)
    return f"{forecast} beyond {limit}, but {passed} of 9 confirmations where {needed} are needed (missing {missing})"


def _consequence(
    made: SignalFrame,
    target: int,
    account: SubAccount,
    decisions: tuple[Decision, ...],
    rules: ExecutionRules,
) -> str:
    if decisions:
        return " and ".join(describe_decision(decision) for decision in decisions)
    side = account.side
    if target == 0 == side and made.signal[-1] < 0 and rules.long_only:
        return "stay flat, because shorts are not opened"
    if target in {0, side}:
        return f"stay {SIDES[side]}"
    return f"stay {SIDES[side]}, {_why_not(made, target, account, rules)}"


def _why_not(made: SignalFrame, target: int, account: SubAccount, rules: ExecutionRules) -> str:
    if account.ruined:
        return "a short has used up the equity"
    if account.halted:
        return "entries are halted by the drawdown until `resume`"
    if target == account.stopped_side:
        return "no entry until the target has changed since it was stopped or closed"
    expected = float(made.expected_move[-1]) * 100
    return f"because the expected move of {expected:.3f} % is not worth {rules.round_trip_cost * 100:.3f} % a round trip"


def describe_decision(decision: Decision) -> str:
    """Return a decision in words."""
    if isinstance(decision, Enter):
        return f"enter {SIDES[decision.side]}"
    return f"exit ({decision.reason})"


def ledger_record(decided: ModelDecision, why: str) -> dict[str, Any]:
    """Return what the ledger keeps of a decision beside its target."""
    made, chosen = decided.made, decided.chosen
    entry: dict[str, Any] = {
        "model": chosen.model.card.fingerprint,
        "cutoff": decided.cutoff,
        "bars": decided.bars,
        "late_model": chosen.late,
        "revised": chosen.revised,
        "reason": why,
    }
    if len(made):
        entry |= {
            "signal": int(made.signal[-1]),
            "close": float(made.close[-1]),
            "predicted": float(made.predicted[-1]),
            "threshold": float(made.threshold[-1]),
            "expected_move": float(made.expected_move[-1]),
            "confidence": float(made.confidence[-1]),
            "confirmations": int(made.confirmations[-1]),
            "conditions": dict(zip(CONDITIONS, made.held[-1].tolist(), strict=True)),
        }
    return entry


def unfilled_entry(decisions: Sequence[Decision], fills: Sequence[Fill]) -> tuple[str, ...]:
    """Say that an entry that was decided has not come about, where that is so."""
    wanted = any(isinstance(decision, Enter) for decision in decisions)
    if not wanted or any(fill.reason == "entry" for fill in fills):
        return ()
    return ("the entry was not filled: below the least order, or no bar followed at once",)
