"""The outcome of a contract, and the values that break it."""

from dataclasses import asdict, dataclass
from typing import Any

from crypto_refactor.market.hours import to_iso


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """The first bar at which a contract is broken; `bar` is None where it is no matter of one bar.

    `known` is the value from all bars, `hidden` that from those the contract leaves.
    """

    text: str
    bars: str  # which bars
    bar: int | None = None  # its close, hours since 1970
    known: float | None = None
    hidden: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the documented JSON; a value that is no number is null."""
        values = asdict(self)
        for name in ("known", "hidden"):
            value = values[name]
            values[name] = value if value is not None and abs(value) < float("inf") else None
        return values | {"bar": None if self.bar is None else to_iso(self.bar)}

    def __str__(self) -> str:
        if self.bar is None:
            return f"{self.text} ({self.bars})"
        return f"the bar that closed at {to_iso(self.bar)} ({self.bars}): {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One contract of one piece of a plug-in."""

    kind: str  # indicator, condition, network, exit
    piece: str
    name: str
    meaning: str  # what holds if it is kept
    breach: Breach | None = None

    @property
    def kept(self) -> bool:
        """Whether it is kept."""
        return self.breach is None

    def to_dict(self) -> dict[str, Any]:
        """Return the documented JSON."""
        return {
            "kind": self.kind,
            "piece": self.piece,
            "contract": self.name,
            "kept": self.kept,
            "breach": None if self.breach is None else self.breach.to_dict(),
        }
