"""Jinja2 for the page: escapes every value, refuses undefined names, and formats figures."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from crypto_refactor.report.commentary import HYPOTHETICAL, earlier_trials_text, result_text
from crypto_refactor.report.forecast_text import BASELINE_NAMES, part_verdicts, residual_text
from crypto_refactor.report.formatting import UNDEFINED, exit_text, money, number, percent, price
from crypto_refactor.report.html.packing import packed_json, packed_plotly
from crypto_refactor.report.html.series import sharpe_noise
from crypto_refactor.report.metric_rows import correlation_text, hit_rate_text
from crypto_refactor.sides import Side

if TYPE_CHECKING:
    from jinja2 import Environment

HEAT_STEPS, HEAT_STEP = 4, 0.02
_INSEPARABLE = re.compile(
    # Not between an hour and its zone: a column of times may be narrow.
    r"(?<=\d) (?=%|bp\b|h\b|days?\b)|(?<=\d)(?<!:\d\d) (?=[A-Z]{3,5}\b)|(?<=[\d%]) (?=±)|(?<=±) (?=\d)"
)
BEYOND_BY_CHANCE = 0.0455
"""Share of normal draws more than two standard errors from their mean."""


@cache
def environment() -> Environment:
    """Return the environment of the templates in this package."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    jinja = Environment(
        loader=PackageLoader("crypto_refactor.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: unbroken(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters |= {
        "correlation": correlation_text,
        "fact": fact_text,
        "heat": heat_class,
        "hit_rate": hit_rate_text,
        "interval": interval_text,
        "money": money,
        "number": number,
        "packed_json": packed_json,
        "percent": percent,
        "price": price,
        "sign": sign_class,
    }
    jinja.globals |= {
        "baseline_names": BASELINE_NAMES,
        "beyond_by_chance": BEYOND_BY_CHANCE,
        "exit_text": exit_text,
        "hypothetical": HYPOTHETICAL,
        "packed_plotly": packed_plotly,
        "part_verdicts": part_verdicts,
        "earlier_trials_text": earlier_trials_text,
        "result_text": result_text,
        "residual_text": residual_text,
        "sharpe_noise": sharpe_noise,
        "side": Side,
        "undefined_figure": UNDEFINED,
    }
    return jinja


def unbroken(text: str) -> str:
    """Keep figures and their units on one line."""
    return _INSEPARABLE.sub("\u00a0", text)


def interval_text(ends: tuple[float, float] | None, unit: str = "percent") -> str:
    """Return an interval with its signs, in per cent or as plain numbers."""
    if ends is None:
        return UNDEFINED
    return " to ".join(percent(end, signed=True) if unit == "percent" else f"{end:+,.2f}" for end in ends)


def fact_text(value: object) -> str:
    """Return a setting or another fact as text."""
    if value is None:
        return UNDEFINED
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def sign_class(value: float | None) -> str:
    """Return the class of a gain or a loss; the sign itself is always written out too."""
    if value is None or value == 0:
        return ""
    return "gain" if value > 0 else "loss"


def heat_class(change: float) -> str:
    """Return the class that shades a return by its size."""
    return f"heat {sign_class(change)}-{min(int(abs(change) / HEAT_STEP) + 1, HEAT_STEPS)}"
