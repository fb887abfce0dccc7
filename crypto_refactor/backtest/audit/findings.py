"""What a check of the audit says, and how two figures are told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crypto_refactor.market.hours import to_iso

Value = float | int | bool | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One figure of the run that is not what the audit found.

    Attributes
    ----------
    bar : int
        Hour of the close (of a fill: of the execution) it belongs to.
    column : str
        What differs.
    run, recomputed : float, int, bool, str or None
        What the run used, and what it should have been.
    """

    bar: int
    column: str
    run: Value
    recomputed: Value

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON."""
        return {
            "bar": to_iso(self.bar),
            "column": self.column,
            "run": _plain(self.run),
            "recomputed": _plain(self.recomputed),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCheck:
    """One check of the audit.

    Attributes
    ----------
    name : str
        ``signals``, ``models``, ``start``, ``fills`` or ``accounting``.
    passed : bool
        Whether nothing differs.
    detail : str
        What was looked at and what was found, one sentence for people.
    difference : Difference or None
        The first thing that differs.
    """

    name: str
    passed: bool
    detail: str
    difference: Difference | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON."""
        return {"name": self.name, "passed": self.passed, "detail": self.detail}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the audit of one run found.

    Attributes
    ----------
    checks : tuple of AuditCheck
        ``signals``, ``models``, ``start``, ``fills`` and ``accounting``.
    bars_checked, bars : int
        Closes that were decided again, and real closes of the window.
    full : bool
        Whether every close was.
    """

    checks: tuple[AuditCheck, ...]
    bars_checked: int
    bars: int
    full: bool

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def first_difference(self) -> Difference | None:
        """The first thing the first failed check found."""
        return next((check.difference for check in self.checks if check.difference is not None), None)

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON."""
        difference = self.first_difference
        return {
            "passed": self.passed,
            "full": self.full,
            "bars": self.bars,
            "bars_checked": self.bars_checked,
            "checks": [check.to_dict() for check in self.checks],
            "first_difference": None if difference is None else difference.to_dict(),
        }


def make_check(name: str, found: Sequence[Difference], *, fine: str, wrong: str) -> AuditCheck:
    """Return the check `name`: it says `fine` where nothing was found, else `wrong`."""
    return AuditCheck(
        name=name,
        passed=not found,
        detail=wrong if found else fine,
        difference=found[0] if found else None,
    )


def same_bits(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """Whether two arrays hold the same bits; NaN equals itself, 0 and -0 differ."""
    return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()


def failure(error: Exception) -> str:
    """Return what kept something from being recomputed, for the place of its value."""
    return f"{type(error).__name__}: {error}"


def value_of(item: Any) -> Value:
    """Return an element of an array as a plain value."""
    plain: Value = item.item() if isinstance(item, np.generic | np.ndarray) else item
    return plain


def _plain(value: Value) -> Value:
    return None if isinstance(value, float) and not math.isfinite(value) else value
