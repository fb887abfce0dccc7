"""What every section of the page is made from, and what it comes out as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from crypto_refactor.backtest.result import RunResult
from crypto_refactor.backtest.significance.summary import Significance
from crypto_refactor.backtest.significance.verdict import Verdict
from crypto_refactor.report.html.charts import Chart
from crypto_refactor.report.html.markup import Html

# Covariant: a section that asks for no more than every run has takes the context of any of them.
Traded_co = TypeVar("Traded_co", bound=RunResult, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PageContext(Generic[Traded_co]):
    """A result and how to tell it.

    Attributes
    ----------
    result : RunResult
        What is told: a backtest, or an evaluation of targets.
    tz : ZoneInfo
        In which people read times.
    command : str or None
        What repeats the run.
    """

    result: Traded_co
    tz: ZoneInfo
    command: str | None = None

    @property
    def significance(self) -> Significance | None:
        """What tells the run from luck, where that was asked for."""
        return self.result.significance

    @property
    def verdict(self) -> Verdict | None:
        """Whether there is evidence of an edge, where that was asked for."""
        return self.result.verdict

    @property
    def quote(self) -> str:
        """The currency money is counted in."""
        return self.result.ticker.quote

    @property
    def simulated(self) -> bool:
        """Whether the bars come from the bundled simulation."""
        return self.result.window.simulated


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page under a heading of its own; `name` is its anchor."""

    name: str
    title: str
    body: Html
    charts: tuple[Chart, ...] = ()
