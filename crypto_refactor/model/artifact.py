"""A model on disk: ``.keras``, ``.onnx`` and a ``.json`` card that vouches for both.

The card is written last and removed first, so a torn write is a missing model, never a wrong one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from filelock import FileLock

from crypto_refactor.errors import ModelError
from crypto_refactor.model.evidence import Evidence
from crypto_refactor.model.forecaster import Forecaster, load
from crypto_refactor.storage.atomic_file import write_temporary

SCHEMA = 1
SUFFIXES = (".keras", ".onnx", ".json")
CHECKSUM = "checksum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a model is, what it saw and what it knows.

    Times are hours since 1970-01-01T00:00Z; `trained_through` is the close of the last bar used for
    anything, stopping and calibration included.
    """

    schema: int
    source: str
    simulated: bool
    ticker: str
    timeframe: str
    lookback: int
    horizon: int
    rows: int
    network: str
    recipe: str
    catalogue: str
    seed: int
    trained_from: int
    trained_through: int
    created_at: str
    versions: dict[str, str]
    volatility_floor: float
    threshold_scale: float
    evidence: Evidence
    epochs: int
    stop_loss: float
    last_bars: str
    weights: str
    sha256: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """Hash of the weights."""
        return self.weights

    def to_json(self) -> str:
        """Return the card as it is written, with a checksum of all it says."""
        values = asdict(self)
        return _dumps({**values, CHECKSUM: _sha256(_dumps(values).encode())})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a card.

        Raises
        ------
        ValueError
            If `text` is not a card of this schema, or was changed after it was written.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            if values.pop(CHECKSUM, None) != _sha256(_dumps(values).encode()):
                raise ValueError("the card is not as it was written")
            if values.get("schema") != SCHEMA or set(values) != {f.name for f in fields(cls)}:
                raise ValueError("another schema")
            evidence = values["evidence"]
            evidence["error_quantiles"] = tuple(evidence["error_quantiles"])
            return cls(**{**values, "evidence": Evidence(**evidence)})
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a model card: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A card, where it lies, and the network it vouches for."""

    card: Card
    path: Path
    onnx: bytes

    def forecaster(self) -> Forecaster:
        """Load the network for serving."""
        return load(
            self.onnx,
            lookback=self.card.lookback,
            volatility_floor=self.card.volatility_floor,
            name=self.path.name,
        )


class DamagedModelError(ModelError):
    """Files that are no whole model: truncated, edited or of another schema."""


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the three files of the model whose ``.keras`` file is `path`."""
    return tuple(path.with_suffix(suffix) for suffix in SUFFIXES)


def read(path: Path) -> Model | None:
    """Read the model whose ``.keras`` file is `path`; None where there is none.

    Raises
    ------
    DamagedModelError
        If a file is missing, unreadable or not what the card vouches for.
    """
    keras_file, onnx_file, card_file = files_of(path)
    try:
        if not card_file.exists() and not keras_file.exists():
            return None
        card = Card.from_json(card_file.read_text(encoding="utf-8"))
        onnx = onnx_file.read_bytes()
        found = {".keras": _sha256(keras_file.read_bytes()), ".onnx": _sha256(onnx)}
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if found != card.sha256:
        wrong = ", ".join(suffix for suffix in found if found[suffix] != card.sha256.get(suffix))
        raise _damaged(path, f"{wrong} is not the file the card vouches for")
    return Model(card=card, path=path, onnx=onnx)


def _damaged(path: Path, why: str) -> DamagedModelError:
    return DamagedModelError(
        f"The model {path} is damaged: {why}.",
        expected="a .keras, an .onnx and a .json file that belong together.",
        remedy="train it again with `models/app_lstm.py`; the damaged files are set aside.",
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _dumps(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n"


def quarantine(path: Path) -> None:
    """Rename the files of a damaged model to ``.damaged``, so that they can be looked at."""
    with model_folder_errors(path.parent):
        for file in files_of(path):
            if file.exists():
                file.replace(file.with_name(file.name + ".damaged"))


def write(path: Path, card: Card, *, keras: bytes, onnx: bytes) -> Model:
    """Write a model: all of it, or nothing that could be taken for one.

    `card.sha256` is filled in here.

    Raises
    ------
    ModelError
        If the folder cannot be written or is full.
    """
    card = _with_hashes(card, keras, onnx)
    contents = (keras, onnx, card.to_json().encode())
    files = files_of(path)
    with model_folder_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        drafts: list[Path] = []
        try:
            drafts.extend(write_temporary(path.parent, content) for content in contents)
            files[-1].unlink(missing_ok=True)
            for written, file in zip(drafts, files, strict=True):
                written.replace(file)
        finally:
            for written in drafts:
                written.unlink(missing_ok=True)
    return Model(card=card, path=path, onnx=onnx)


def _with_hashes(card: Card, keras: bytes, onnx: bytes) -> Card:
    from dataclasses import replace

    return replace(card, sha256={".keras": _sha256(keras), ".onnx": _sha256(onnx)})


@contextmanager
def model_folder_errors(folder: Path) -> Iterator[None]:
    """Turn what the operating system says about the model folder into a `ModelError`."""
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"The model folder {folder} cannot be written: {error.strerror or error}.",
            expected="a folder with write permission and free space.",
            remedy="free space or correct the permissions, or set CRYPTO_MODEL_DIR to another folder.",
        ) from error


def lock(path: Path) -> FileLock:
    """Return the lock that keeps two processes from training the model at `path` at once.

    The system releases it when its holder dies.
    """
    with model_folder_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock_file = path.parent / f".{path.stem}.lock"
        lock_file.touch()
        return FileLock(lock_file)
