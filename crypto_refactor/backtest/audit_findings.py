"""Findings of an audit: its checks, and the first difference that each of them found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crypto_refactor.market.hours import to_iso

Value = float | int | bool | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A figure of the run that differs from its recomputation, and the close (of a fill: the open) it belongs to."""

    bar: int
    column: str
    run: Value
    recomputed: Value

    @classmethod
    def between(cls, bar: int, column: str, run: Any, recomputed: Any) -> Difference:
        """Return the difference between two elements of arrays."""
        return cls(
            bar=bar, column=column, run=np.asarray(run).item(), recomputed=np.asarray(recomputed).item()
        )

    @classmethod
    def not_recomputed(cls, bar: int, column: str, error: Exception) -> Difference:
        """Return the difference between a value and the error that kept it from being recomputed."""
        return cls(bar=bar, column=column, run="computed", recomputed=f"{type(error).__name__}: {error}")

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON."""
        return {
            "bar": to_iso(self.bar),
            "column": self.column,
            "run": _finite(self.run),
            "recomputed": _finite(self.recomputed),
        }


def _finite(value: Value) -> Value:
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCheck:
    """One check: whether it passed, one sentence for people, and the first difference."""

    name: str
    passed: bool
    detail: str
    difference: Difference | None = None

    @classmethod
    def of(cls, name: str, differences: Sequence[Difference], *, passed: str, failed: str) -> AuditCheck:
        """Return the check `name` with the sentence for its outcome."""
        return cls(
            name=name,
            passed=not differences,
            detail=failed if differences else passed,
            difference=next(iter(differences), None),
        )

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON."""
        return {"name": self.name, "passed": self.passed, "detail": self.detail}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The audit of one run."""

    checks: tuple[AuditCheck, ...]  # signals, models, start, fills, accounting, and retraining if asked for
    bars_checked: int  # closes that were recomputed
    bars: int  # real closes in the window
    full: bool  # whether every close was to be recomputed
    limit_of_detection: float  # share of the closes without a fill that a leak must change to be found

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def first_difference(self) -> Difference | None:
        """The first difference of the first check that failed."""
        return next((check.difference for check in self.checks if check.difference is not None), None)

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON."""
        difference = self.first_difference
        return {
            "passed": self.passed,
            "full": self.full,
            "bars": self.bars,
            "bars_checked": self.bars_checked,
            "limit_of_detection": self.limit_of_detection,
            "checks": [check.to_dict() for check in self.checks],
            "first_difference": None if difference is None else difference.to_dict(),
        }
