"""The three sides that a signal, a target or a position can take."""

from enum import IntEnum


class Side(IntEnum):
    """A side with its name and its arrow.  Arrays, ledgers and JSON hold the plain integers."""

    LONG = 1
    FLAT = 0
    SHORT = -1

    @property
    def label(self) -> str:
        """Its name as people and CSV files read it: ``long``, ``flat`` or ``short``."""
        return self.name.lower()

    @property
    def arrow(self) -> str:
        """A mark that stands out in a column."""
        return {Side.LONG: "▲", Side.FLAT: "■", Side.SHORT: "▼"}[self]
