"""What a source says about bars that it left out or doubts, for the JSON of whichever command uses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from crypto_refactor.market.sources.base import Source

_KEY = "crypto_refactor.source"


def remember(source: Source) -> None:
    """Let documents of the running command end with the notes of `source`."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[_KEY] = source


def with_data_notes(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with ``data_notes``, the notes of the command's source, where there are any."""
    context = click.get_current_context(silent=True)
    source = None if context is None else context.meta.get(_KEY)
    notes = [] if source is None else list(source.notes())
    return {**document, "data_notes": notes} if notes else dict(document)
