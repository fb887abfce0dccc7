"""The contract of a network: it can be trained, and what is served is what was trained."""

from collections.abc import Iterator

from crypto_refactor.errors import CryptoRefactorError
from crypto_refactor.features.frame import compute_features
from crypto_refactor.model.dataset import labelled_rows, training_set
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.parallel import TrainingObserver, fit_all
from crypto_refactor.plugin_checks.contract import Breach, Contract
from crypto_refactor.plugin_checks.trial_bars import TrialBars
from crypto_refactor.plugins import PluginFile

KIND = "network"
MEANINGS = {"trains": "it can be trained, and its ONNX form gives the forecasts of Keras"}
_LOOKBACK = 24
_ROWS = 300


def network_contracts(file: PluginFile, name: str, trial: TrialBars) -> Iterator[Contract]:
    """Yield the outcome of the contract: a model of 300 rows is trained, with the network kept whatever its gain."""
    frame = compute_features(trial.bars, (file,))
    rows = labelled_rows(frame, _LOOKBACK)[-_ROWS:]
    settings = ModelSettings(lookback=_LOOKBACK, network=name, residual="always", plugins=(file,))
    breach = None
    try:
        for _, trained in fit_all(
            [training_set(frame, rows, _LOOKBACK)], settings, TrainingObserver().progress
        ):
            if isinstance(trained, CryptoRefactorError):
                raise trained
    except CryptoRefactorError as error:
        breach = Breach(text=error.what, bars=trial.name)
    yield Contract(kind=KIND, piece=name, name="trains", meaning=MEANINGS["trains"], breach=breach)
