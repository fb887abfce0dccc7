"""Names of series without an account, and where the bars of a series come from."""

from pathlib import Path

from crypto_refactor.market.sources.base import Source
from crypto_refactor.trading.account_names import DEMO, REPLAY, demo_account, is_at_broker

MODEL = "model/"
"""What the name of a series without an account begins with."""
LOOP_MODELS = "loop"
"""The name of the trading loop's own models, where no model is pinned."""


def model_series(model: str, source: Source) -> str:
    """Return the name of what a model forecasts on the bars of a source, without an account."""
    return f"{MODEL}{model}/{demo_account(source).removeprefix(DEMO)}"


def model_of(series: str) -> str | None:
    """Return the name of the model of a series without an account."""
    return series.removeprefix(MODEL).split("/")[0] if series.startswith(MODEL) else None


def source_of(series: str) -> tuple[str, Path | None] | None:
    """Return name and folder of the source of a series; None for a replay, whose ledger knows all that it replayed."""
    if series.startswith(REPLAY):
        return None
    if is_at_broker(series):
        return "alpaca", None
    model = model_of(series)
    place = series.removeprefix(DEMO if model is None else f"{MODEL}{model}/")
    if place.startswith("files"):
        return "files", Path(place.removeprefix("files"))
    return place, None
