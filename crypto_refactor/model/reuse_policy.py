"""The card of a fitted network, and whether its model may be reused on given bars."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from crypto_refactor.features.catalogue import catalogue_hash
from crypto_refactor.features.plugin_indicators import catalogue_of
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.model.artifact import SCHEMA, Card, TrainedModel
from crypto_refactor.model.dataset import CHECKED_BARS, TrainingSet, last_bars
from crypto_refactor.model.identity import HORIZON, TIMEFRAME, identity_of
from crypto_refactor.model.recipe import RECIPE
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.plugins import plugin_hashes


def make_card(
    trained: TrainedModel,
    data: TrainingSet,
    bars: Bars,
    settings: ModelSettings,
    *,
    created_at: datetime | None = None,
) -> Card:
    """Return the card of a model fitted on `data` from `bars`, without the hashes of its files."""
    return Card(
        **asdict(identity_of(bars, data, settings)),
        schema=SCHEMA,
        created_at=(created_at or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        volatility_floor=trained.volatility_floor,
        threshold_scale=trained.threshold_scale,
        evidence=trained.evidence,
        epochs=trained.epochs,
        stop_loss=trained.stop_loss,
        stop_loss_ratio=trained.stop_loss_ratio,
        residual_decision=trained.residual_decision,
        weights=trained.weights,
        sha256={},
    )


PLUGINS = "plug-ins"
OlderBars = Callable[[int, int], Bars]
"""Returns the real bars between two hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What app_lstm asks of a model.

    `older_bars` returns the real bars between two hours, for a model whose last training bars are older than the
    loaded ones; without it such bars are not compared.
    """

    settings: ModelSettings
    seed_given: bool  # whether the seed must match
    rows: int  # labelled rows to train on
    retrain_threshold: int  # greatest age in hours
    retrain: bool  # train in any case
    older_bars: OlderBars | None = None
    origin: str = ""  # the folder of the bars, where there is one


def retrain_reason(card: Card, bars: Bars, request: ModelRequest) -> tuple[str, str] | None:
    """Return ``trained`` or ``retrained`` and the first reason to train, None if the model may be reused."""
    if request.retrain:
        return "retrained", "--retrain was given"
    if card.is_earlier:
        return "trained", "the existing model is of an earlier release, which trained by another recipe"
    differences = [
        f"{'other' if name == PLUGINS else 'another'} {name} ({actual}, not {expected})"
        for name, actual, expected in mismatches(card, bars, request.settings)
        if name != "seed" or request.seed_given
    ]
    if differences:
        return "trained", "the existing model has " + ", ".join(differences)
    now, through = int(bars.closed[-1]), card.trained_through
    if through <= now and training_bars_revised(card, bars, request.older_bars):
        return "trained", "the last 24 bars it was trained on have been revised"
    if card.rows < request.rows:
        return "trained", f"it was trained on {card.rows} rows, {request.rows} are asked for"
    if through > now:
        return "trained", f"it was trained on later bars (through {to_iso(through)})"
    age = now - through
    if age > request.retrain_threshold:
        return (
            "retrained",
            f"the last one was trained {age:,} h ago; retrained after {request.retrain_threshold} h",
        )
    return None


def training_bars_revised(card: Card, bars: Bars, older_bars: OlderBars | None = None) -> bool:
    """Whether the last training bars have other values than on the card; False if they are not available."""
    first = card.trained_through - CHECKED_BARS
    if first < int(bars.opened[0]) and older_bars is not None:
        bars = older_bars(first, card.trained_through)
    available = len(bars) > 0 and first >= int(bars.opened[0])
    return available and last_bars(bars, card.trained_through) != card.last_bars


def other_options(card: Card, bars: Bars, request: ModelRequest) -> list[tuple[str, object, object]]:
    """Return (option, actual, expected) wherever a model was trained with other options, or on bars from elsewhere.

    Without such a difference a new model may take its place: it is the same one, of another hour, recipe or release.
    """
    settings = request.settings
    pairs = [
        ("source", card.source, bars.source),
        ("data-dir", card.origin or request.origin, request.origin or card.origin),
        ("hours", card.rows, request.rows),
        ("lookback", card.lookback, settings.lookback),
        ("network", card.network, settings.network),
        ("residual", card.residual, settings.residual),
        ("seed", card.seed, settings.seed),
        ("plugin", ", ".join(sorted(card.plugins)), ", ".join(sorted(plugin_hashes(settings.plugins)))),
    ]
    return [(name, actual, expected) for name, actual, expected in pairs if actual != expected]


def serves(card: Card, bars: Bars, request: ModelRequest) -> bool:
    """Whether a model was trained as asked, if it is not out of date; more hours and any seed where none is given will do."""
    others = {name for name, _, _ in other_options(card, bars, request)}
    if card.rows > request.rows:
        others.discard("hours")
    if not request.seed_given:
        others.discard("seed")
    return not others


def mismatches(card: Card, bars: Bars, settings: ModelSettings) -> list[tuple[str, object, object]]:
    """Return (name, actual, expected) wherever the model of `card` is not one of these bars and settings."""
    required = [
        ("source", card.source, bars.source),
        ("ticker", card.ticker, str(bars.ticker)),
        ("timeframe", card.timeframe, TIMEFRAME),
        ("horizon", card.horizon, HORIZON),
        ("lookback", card.lookback, settings.lookback),
        (PLUGINS, _in_words(card.plugins), _in_words(plugin_hashes(settings.plugins))),
        ("catalogue", card.catalogue, catalogue_hash(catalogue_of(settings.plugins))),
        ("network", card.network, settings.network),
        ("residual", card.residual, settings.residual),
        ("recipe", card.recipe, RECIPE.hash()),
        ("seed", card.seed, settings.seed),
    ]
    return [(name, actual, expected) for name, actual, expected in required if actual != expected]


def _in_words(plugins: Mapping[str, str]) -> str:
    """Return the plug-ins of a card or of settings, with their hashes."""
    return ", ".join(f"{name} {content}" for name, content in sorted(plugins.items())) or "none"
