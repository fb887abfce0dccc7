"""What a result is to a program, by its kind: a short text, a fragment of HTML, a document, a page.

`crypto_refactor.presentation` calls these functions, and nothing else does.
"""

from functools import singledispatch
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from crypto_refactor.backtest.comparison.runner import Comparison
from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.backtest.result import BacktestResult, RunResult
from crypto_refactor.market.hours import zone
from crypto_refactor.report.documents.backtest import backtest_json, evaluation_json
from crypto_refactor.report.documents.comparison import comparison_json
from crypto_refactor.report.html.fragment import comparison_fragment, run_fragment, signal_fragment
from crypto_refactor.report.terminal.signal import signal_summary
from crypto_refactor.report.terminal.summary import comparison_summary, run_summary
from crypto_refactor.signals.signal import Signal
from crypto_refactor.storage.output_file import check_writable, write_text

_UTC = zone("UTC")


def _width() -> int:
    return get_terminal_size((80, 24)).columns


@singledispatch
def summary_text(result: object) -> str:
    """Return a result in a few lines that fit the terminal, or 80 columns where there is none."""
    raise TypeError(f"{type(result).__name__} is no result")


@summary_text.register
def _(result: Signal) -> str:
    return signal_summary(result, _UTC, _width())


@summary_text.register
def _(result: RunResult) -> str:
    return run_summary(result, _UTC, _width())


@summary_text.register
def _(result: Comparison) -> str:
    return comparison_summary(result, _UTC, _width())


@singledispatch
def summary_html(result: object) -> str:
    """Return a result as a fragment of HTML that needs nothing around it."""
    raise TypeError(f"{type(result).__name__} is no result")


@summary_html.register
def _(result: Signal) -> str:
    return signal_fragment(result, _UTC)


@summary_html.register
def _(result: RunResult) -> str:
    return run_fragment(result, _UTC)


@summary_html.register
def _(result: Comparison) -> str:
    return comparison_fragment(result, _UTC)


@singledispatch
def document(result: object) -> dict[str, Any]:
    """Return the documented JSON of a result."""
    raise TypeError(f"{type(result).__name__} is no result")


document.register(BacktestResult, backtest_json)
document.register(EvaluationResult, evaluation_json)
document.register(Comparison, comparison_json)


def page(result: object, path: Path, tz: str) -> None:
    """Write the page of a run, times in the zone `tz`."""
    from crypto_refactor.report.html.page import evaluation_html, report_html

    times = zone(tz)
    check_writable(path)  # before charts are drawn for nothing
    if isinstance(result, BacktestResult):
        write_text(path, report_html(result, command=None, tz=times))
    elif isinstance(result, EvaluationResult):
        write_text(path, evaluation_html(result, command=None, tz=times))
    else:
        raise TypeError(f"{type(result).__name__} has no page")
