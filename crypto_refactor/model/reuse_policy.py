"""From a fitted network to a card, and from a card to whether it may decide on given bars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crypto_refactor.features.catalogue import catalogue_hash
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.model.artifact import SCHEMA, Card
from crypto_refactor.model.dataset import CHECKED_BARS, TrainingSet, last_bars
from crypto_refactor.model.recipe import RECIPE, library_versions
from crypto_refactor.model.settings import ModelSettings

if TYPE_CHECKING:
    from crypto_refactor.model.training.trainer import TrainedModel

TIMEFRAME = "1h"
HORIZON = 1


def make_card(
    trained: TrainedModel,
    data: TrainingSet,
    bars: Bars,
    settings: ModelSettings,
    *,
    created_at: datetime | None = None,
) -> Card:
    """Return the card of a model fitted on `data`, which came from `bars`; file hashes are still empty."""
    return Card(
        schema=SCHEMA,
        source=bars.source,
        simulated=bars.simulated,
        ticker=str(bars.ticker),
        timeframe=TIMEFRAME,
        lookback=settings.lookback,
        horizon=HORIZON,
        rows=len(data),
        network=settings.network,
        recipe=RECIPE.hash(),
        catalogue=catalogue_hash(),
        seed=settings.seed,
        trained_from=data.trained_from,
        trained_through=data.trained_through,
        created_at=(created_at or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        versions=library_versions(),
        volatility_floor=trained.volatility_floor,
        threshold_scale=trained.threshold_scale,
        evidence=trained.evidence,
        epochs=trained.epochs,
        stop_loss=trained.stop_loss,
        last_bars=data.last_bars,
        weights=trained.weights,
        sha256={},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What app_lstm asks of a model.

    Attributes
    ----------
    settings : ModelSettings
        Lookback, network and seed.
    seed_given : bool
        Whether the seed was asked for explicitly, and so must match.
    rows : int
        Labelled rows to learn from.
    retrain_threshold : int
        Greatest age in hours.
    retrain : bool
        Train in any case.
    older_bars : callable, optional
        Returns the real bars between two hours, for a model whose last training bars lie before those
        at hand; without it they are not compared.
    """

    settings: ModelSettings
    seed_given: bool
    rows: int
    retrain_threshold: int
    retrain: bool
    older_bars: Callable[[int, int], Bars] | None = None


def retrain_reason(card: Card, bars: Bars, wish: ModelRequest) -> tuple[str, str] | None:
    """Return (decision, reason) where a model must be trained anew, None where `card` may be reused.

    Parameters
    ----------
    card : Card
        Of the whole model at hand.
    bars : Bars
        Real bars up to now.
    wish : ModelRequest
        What is asked for.

    Returns
    -------
    tuple of str or None
        The decision is ``trained`` or ``retrained``; the first reason that applies.
    """
    if wish.retrain:
        return "retrained", "--retrain was given"
    differing = _differences(card, bars, wish)
    if differing:
        return "trained", "the model at hand has " + ", ".join(differing)
    now = int(bars.closed[-1])
    through = card.trained_through
    at_hand = bars
    if through - CHECKED_BARS < int(bars.opened[0]) and wish.older_bars is not None:
        at_hand = wish.older_bars(through - CHECKED_BARS, through)
    known = len(at_hand) > 0 and through - CHECKED_BARS >= int(at_hand.opened[0])
    if known and through <= now and last_bars(at_hand, through) != card.last_bars:
        return "trained", "the last 24 bars it was trained on read differently now"
    if card.rows < wish.rows:
        return "trained", f"it was trained on {card.rows} rows, {wish.rows} are asked for"
    if through > now:
        return "trained", f"it knows the future of these bars: trained through {to_iso(through)}"
    if now - through > wish.retrain_threshold:
        return "retrained", f"it is {now - through} h old, above the threshold of {wish.retrain_threshold} h"
    return None


def _differences(card: Card, bars: Bars, wish: ModelRequest) -> list[str]:
    settings = wish.settings
    pairs = [
        ("source", card.source, bars.source),
        ("ticker", card.ticker, str(bars.ticker)),
        ("lookback", card.lookback, settings.lookback),
        ("catalogue", card.catalogue, catalogue_hash()),
        ("network", card.network, settings.network),
        ("recipe", card.recipe, RECIPE.hash()),
    ]
    if wish.seed_given:
        pairs.append(("seed", card.seed, settings.seed))
    return [f"another {name} ({had}, not {wanted})" for name, had, wanted in pairs if had != wanted]
