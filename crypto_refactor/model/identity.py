"""What decides a model: all of it stands on the model's card, and its hash is the key of the cache.

A card is compared with the identity that bars and settings ask for whenever its model is read, so that the model of
another ticker, source, seed, network or stretch of bars is never served in the place of the right one.
"""

import hashlib
import json
from dataclasses import dataclass, fields

import numpy as np

from crypto_refactor.features.catalogue import catalogue_hash
from crypto_refactor.features.plugin_indicators import catalogue_of
from crypto_refactor.market.bars import Bars
from crypto_refactor.model.dataset import TrainingSet
from crypto_refactor.model.recipe import RECIPE, library_versions
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.plugins import plugin_hashes

TIMEFRAME = "1h"
HORIZON = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Everything that decides the weights of a model; times are hours since 1970-01-01T00:00Z."""

    source: str
    simulated: bool
    ticker: str
    timeframe: str
    lookback: int
    horizon: int
    network: str
    residual: str  # the option: whether the network's forecast is added to the skip's
    seed: int
    recipe: str  # hash of how networks are fitted
    catalogue: str  # hash of the indicators
    plugins: dict[str, str]  # hash of the content of each plug-in by its name
    versions: dict[str, str]  # of the libraries that fit
    trained_from: int
    trained_through: int  # close of the last bar used, for early stopping and calibration too
    rows: int
    last_bars: str  # fingerprint of the last 24 bars
    data: str  # hash of all inputs and labels

    @property
    def key(self) -> str:
        """The key of the cache: a hash of all parts."""
        parts = {part.name: getattr(self, part.name) for part in fields(Identity)}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def identity_of(
    bars: Bars, data: TrainingSet, settings: ModelSettings, *, versions: dict[str, str] | None = None
) -> Identity:
    """Return the identity of the model that the rows `data` of `bars` and these settings give.

    `versions` are those of the libraries that fit it, by default the installed ones.
    """
    return Identity(
        source=bars.source,
        simulated=bars.simulated,
        ticker=str(bars.ticker),
        timeframe=TIMEFRAME,
        lookback=settings.lookback,
        horizon=HORIZON,
        network=settings.network,
        residual=settings.residual,
        seed=settings.seed,
        recipe=RECIPE.hash(),
        catalogue=catalogue_hash(catalogue_of(settings.plugins)),
        plugins=plugin_hashes(settings.plugins),
        versions=library_versions() if versions is None else versions,
        trained_from=data.trained_from,
        trained_through=data.trained_through,
        rows=len(data),
        last_bars=data.last_bars,
        data=_data_hash(data),
    )


def _data_hash(data: TrainingSet) -> str:
    digest = hashlib.sha256()
    for array in (data.inputs, data.rows, data.returns, data.volatility, data.close, data.atr):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]


def differences(card: Identity, wanted: Identity) -> list[tuple[str, object, object]]:
    """Return (name, actual, expected) of each part in which a card is not the wanted one."""
    pairs = ((part.name, getattr(card, part.name), getattr(wanted, part.name)) for part in fields(Identity))
    return [(name, actual, expected) for name, actual, expected in pairs if actual != expected]
