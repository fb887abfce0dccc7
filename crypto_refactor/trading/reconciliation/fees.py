"""Fees as the broker has charged them against fees as the ledger assumes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from crypto_refactor.market.hours import to_datetime
from crypto_refactor.trading.brokers import FeeCharge
from crypto_refactor.trading.ledger import BookedFill, LedgerEvent
from crypto_refactor.trading.reconciliation.causes import Cause, CauseHour
from crypto_refactor.trading.reconciliation.life import BY_HAND, Life

_BOOKED_WITHIN = timedelta(hours=48)
"""Alpaca books the fees of a day at its end; until then those assumed stand in for them."""
_WORTH_A_WORD = 0.01
"""Share of the assumed fee by which the charged one differs where it is another fee and not rounding."""


@dataclass(frozen=True, slots=True)
class FeeStep:
    """How much more the account has than the ledger from the close after `after` on, in coins and in money."""

    after: int
    coins: float
    money: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeDifference:
    """What the account has beyond the ledger because fees were not those assumed, and the days on which they were not."""

    steps: tuple[FeeStep, ...] = ()
    days: tuple[CauseHour, ...] = ()

    def at(self, hour: int, close: float) -> float:
        """Return its worth at the close of `hour`, quote currency."""
        known = [step for step in self.steps if step.after < hour]
        return sum(step.coins for step in known) * close + sum(step.money for step in known)

    def since(self, hour: int) -> "FeeDifference":
        """Return what has come after the close of `hour`."""
        return FeeDifference(
            steps=tuple(step for step in self.steps if step.after >= hour),
            days=tuple(day for day in self.days if day.hour >= hour),
        )

    def coins(self, hour: int) -> float:
        """Return its coins at the close of `hour`."""
        return sum(step.coins for step in self.steps if step.after < hour)


def fee_difference(life: Life, charges: Sequence[FeeCharge], now: datetime) -> FeeDifference:
    """Compare the fees of `life` day by day; a day on which the ledger traded nothing is somebody else's."""
    steps: list[FeeStep] = []
    days: list[CauseHour] = []
    for day, fills in _by_day(life).items():
        own = [charge for charge in charges if charge.ticker == life.ticker and _day(charge.at) == day]
        end = datetime.fromisoformat(f"{day}T00:00:00+00:00") + timedelta(days=1)
        if not own and now - end < _BOOKED_WITHIN:
            continue
        bought = sum(booked.fill.fee / booked.fill.price for booked in fills if booked.fill.side > 0)
        sold = sum(booked.fill.fee for booked in fills if booked.fill.side < 0)
        coins, money = (sum(getattr(charge, name) for charge in own) for name in ("coins", "money"))
        # The fees of a day come as one sum, or as many: each fill has its share of it.
        for booked in fills:
            fill = booked.fill
            if fill.side > 0:
                steps.append(FeeStep(booked.after, fill.fee / fill.price * (1 - coins / bought), 0.0))
            else:
                steps.append(FeeStep(booked.after, 0.0, fill.fee * (1 - money / sold)))
        assumed = sum(booked.fill.fee for booked in fills)
        in_coins = assumed - sold  # at the prices of the purchases
        charged = (in_coins * coins / bought if bought else 0.0) + money
        if abs(charged - assumed) > _WORTH_A_WORD * assumed:
            notional = sum(booked.fill.notional for booked in fills)
            text = (
                f"{charged:,.2f} charged ({charged / notional:.3%}), {assumed:,.2f} assumed "
                f"({assumed / notional:.3%})"
            )
            days.append(CauseHour(Cause.FEES, fills[-1].after, text))
    steps += [
        FeeStep(event.after, event.amount, 0.0)
        for event in life.events
        if event.kind == LedgerEvent.COINS_LESS
    ]
    return FeeDifference(steps=tuple(steps), days=tuple(days))


def _by_day(life: Life) -> dict[str, list[BookedFill]]:
    found: dict[str, list[BookedFill]] = {}
    for booked in life.fills:
        if booked.fill.fee:
            # A sale by hand is booked later than it was made, and after the last close that was known then.
            hour = booked.after if booked.fill.reason in BY_HAND else booked.fill.at
            found.setdefault(f"{to_datetime(hour):%Y-%m-%d}", []).append(booked)
    return found


def _day(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d}"
