"""Whose targets were traded: what stands where a backtest has its models."""

from __future__ import annotations

from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report.commentary import target_remarks
from crypto_refactor.report.formatting import percent
from crypto_refactor.report.html.markup import join, tag
from crypto_refactor.report.html.page_context import PageContext, Section
from crypto_refactor.report.html.tables import facts, numbers, table, words


def targets_section(context: PageContext[EvaluationResult]) -> Section:
    """Return what the file held, and at how many closes each side was wanted."""
    found, tz = context.result, context.tz
    targets, counts = found.targets, found.side_counts
    within = targets.target[targets.within(int(found.window.closed[0]), found.end)]
    closes = sum(counts.values())
    rows = [
        (
            name,
            f"{int((within == side).sum()):,}",
            f"{counts[name]:,}",
            percent(counts[name] / closes if closes else None, 1),
        )
        for name, side in (("long", 1), ("flat", 0), ("short", -1))
    ]
    columns = (
        words("Target"),
        numbers("Rows", "rows of the file made within the window"),
        numbers("Closes", "closes of the window at which it was wanted"),
        numbers("Share", "of the closes"),
    )
    about: dict[str, object] = {
        "first target": to_local_text(int(targets.made_at[0]), tz),
        "last target": to_local_text(int(targets.made_at[-1]), tz),
        "rows made where there was no bar": found.between_bars,
        "fingerprint of the targets": targets.fingerprint(),
    }
    remarks = (tag("p", remark) for remark in target_remarks(found))
    body = join(*remarks, table("Targets and how long each was wanted", columns, rows), facts(about))
    return Section(name="targets", title="Targets", body=body)
