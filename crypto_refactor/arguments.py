"""Which values count as numbers where a program hands them over: numpy's do, True and texts do not."""

from numbers import Integral, Real
from typing import TypeGuard


def is_whole(value: object) -> TypeGuard[int]:
    """Whether `value` is a whole number."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether `value` is a real number."""
    return isinstance(value, Real) and not isinstance(value, bool)
