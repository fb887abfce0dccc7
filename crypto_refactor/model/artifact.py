"""A model on disk: a ``.keras`` file, an ``.onnx`` file, and a ``.json`` card with the hashes of both.

The card is written last and removed first: an interrupted write leaves a missing model, never a wrong one.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from filelock import FileLock

from crypto_refactor.errors import ModelError
from crypto_refactor.market.hours import to_iso
from crypto_refactor.model.evidence import Evidence, Record
from crypto_refactor.model.forecaster import Forecaster, load
from crypto_refactor.model.identity import Identity
from crypto_refactor.model.skip import RIDGE
from crypto_refactor.storage.atomic_file import write_temporary
from crypto_refactor.storage.private import create_file, create_folder

SCHEMA = 3
_EARLIER_SCHEMAS = (1, 2)
"""Of cards of an earlier recipe: they can be read, and are never those of a model that is asked for."""
SUFFIXES = (".keras", ".onnx", ".json")
CHECKSUM = "checksum"


KEPT, DROPPED, NONE = "kept", "dropped", "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualDecision:
    """Whether the network adds to the skip: ``kept``, ``dropped``, or ``none`` where none was trained.

    `t` is by how many of its errors it lowered the loss of the stop slice, None if it never did or days are too few.
    """

    decision: str
    t: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A fitted network, ready to be written or sent to another process."""

    keras: bytes  # the contents of the two files
    onnx: bytes
    weights: str  # hash of the weight arrays
    volatility_floor: float  # see `Forecaster`
    threshold_scale: float  # c of the dynamic threshold
    evidence: Evidence
    epochs: int
    stop_loss: float  # the data loss on the stop slice
    stop_loss_ratio: float | None  # over that of the zero forecast; 1 if the model forecasts nothing
    residual_decision: ResidualDecision


@dataclass(frozen=True, slots=True, kw_only=True)
class Card(Identity):
    """What a model is, what it was trained on and what it knows."""

    schema: int
    created_at: str
    volatility_floor: float
    threshold_scale: float
    evidence: Evidence
    epochs: int
    stop_loss: float
    stop_loss_ratio: float | None
    residual_decision: ResidualDecision
    weights: str  # hash of the weight arrays
    sha256: dict[str, str]  # of the two files
    origin: str = ""  # the folder of the bars of a named model; empty where there is none, or nobody noted it

    @property
    def forecasts_by(self) -> str:
        """What the forecast is made of, in words."""
        decision = self.residual_decision.decision
        if decision == KEPT:
            return "its linear skip and its network"
        if self.stop_loss_ratio == 1:
            return "nothing: on the hours that choose, its linear skip did worse than a forecast of no move"
        if decision == DROPPED:
            return "its linear skip alone, to which the network did not clearly add"
        return "its linear skip alone"

    @property
    def is_earlier(self) -> bool:
        """Whether an earlier release trained the model, by another recipe."""
        return self.schema != SCHEMA

    @property
    def fingerprint(self) -> str:
        """Hash of the weights."""
        return self.weights

    def to_json(self) -> str:
        """Return the text of the card file, with a checksum of its values."""
        values = asdict(self)
        return _dumps({**values, CHECKSUM: _sha256(_dumps(values).encode())})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a card.

        Raises
        ------
        ValueError
            If `text` is no card of a known schema, or does not match its checksum.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            if values.pop(CHECKSUM, None) != _sha256(_dumps(values).encode()):
                raise ValueError("the card does not match its checksum")
            if values.get("schema") in _EARLIER_SCHEMAS:
                values = _converted(values)
            elif values.get("schema") != SCHEMA:
                raise ValueError("the card has another schema")
            values.setdefault("plugins", {})  # cards of models without any may not say so
            values.setdefault("origin", "")  # cards of earlier releases do not say it
            if set(values) != {f.name for f in fields(cls)}:
                raise ValueError("the card has another schema")
            evidence, decision = values["evidence"], values["residual_decision"]
            evidence["error_quantiles"] = tuple(evidence["error_quantiles"])
            evidence["baselines"] = {name: Record(**record) for name, record in evidence["baselines"].items()}
            return cls(
                **{
                    **values,
                    "evidence": Evidence(**evidence),
                    "residual_decision": ResidualDecision(**decision),
                }
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a model card: {error}") from error


def _converted(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of an earlier card as those of one of today: its one slope was that of the mean."""
    evidence = values["evidence"]
    ridge = {name: evidence.pop(f"ridge_{name}") for name in ("rmse_ratio", "rank_correlation")}
    evidence |= {f"mean_{name}": evidence[name] for name in ("slope", "slope_se", "shrink")}
    evidence |= {"hit_rate": None, "mae_ratio": None}
    evidence["baselines"] = {RIDGE: {"hit_rate": None, "rank_correlation": ridge["rank_correlation"]}}
    return values | {
        "data": "",
        "residual": "always",
        "residual_decision": {"decision": NONE, "t": None},
        "stop_loss_ratio": None,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A card, the path of its ``.keras`` file, and its network."""

    card: Card
    path: Path
    onnx: bytes

    def forecaster(self) -> Forecaster:
        """Load the network for serving."""
        return load(
            self.onnx,
            network=self.card.network,
            lookback=self.card.lookback,
            volatility_floor=self.card.volatility_floor,
            name=self.path.name,
        )


class DamagedModelError(ModelError):
    """The files of a model are truncated, edited or of another schema."""


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the three files of the model whose ``.keras`` file is `path`."""
    return tuple(path.with_suffix(suffix) for suffix in SUFFIXES)


def read(path: Path, key: str | None = None) -> Model | None:
    """Read the model whose ``.keras`` file is `path`; None where there is none.

    Raises
    ------
    DamagedModelError
        If a file is missing or unreadable, or does not match the card, or the card is not that of the model `key`.
    """
    keras_file, onnx_file, card_file = files_of(path)
    try:
        if not card_file.exists() and not keras_file.exists():
            return None
        card = Card.from_json(card_file.read_text(encoding="utf-8"))
        onnx = onnx_file.read_bytes()
        hashes = _hashes(keras_file.read_bytes(), onnx)
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if hashes != card.sha256:
        wrong = ", ".join(suffix for suffix in hashes if hashes[suffix] != card.sha256.get(suffix))
        raise _damaged(path, f"{wrong} does not match the hash on the card")
    if key is not None and card.key != key:
        raise _damaged(path, f"its card is that of another model, {_summary(card)}")
    return Model(card=card, path=path, onnx=onnx)


def _summary(card: Card) -> str:
    through = to_iso(card.trained_through)
    return f"{card.ticker} from {card.source} through {through}, network {card.network}, seed {card.seed}"


def read_if_valid(path: Path, key: str | None = None) -> Model | None:
    """Read the model at `path`; None if there is none, or it is damaged or not the model `key`."""
    try:
        return read(path, key)
    except DamagedModelError:
        return None


def read_after_writer(path: Path) -> Model | None:
    """Read the model at `path`; if it looks damaged, wait for a possible writer and read it again.

    Raises
    ------
    DamagedModelError
        If it is damaged although no process is writing it.
    """
    try:
        return read(path)
    except DamagedModelError:
        with lock(path):
            return read(path)


def _damaged(path: Path, reason: str) -> DamagedModelError:
    return DamagedModelError(
        f"The model {path} is damaged: {reason}.",
        expected="a .keras, an .onnx and a .json file that belong together.",
        remedy="train it again with `models/app_lstm.py`; the damaged files are kept as .damaged.",
    )


def _hashes(keras: bytes, onnx: bytes) -> dict[str, str]:
    return {".keras": _sha256(keras), ".onnx": _sha256(onnx)}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _dumps(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n"


def quarantine_damaged(path: Path, key: str | None = None) -> DamagedModelError | None:
    """Rename the files of a model that `read` refuses to ``.damaged``, and return why.

    The caller holds its lock, as a half-written model looks damaged too.
    """
    try:
        read(path, key)
    except DamagedModelError as error:
        with model_folder_errors(path.parent):
            for file in files_of(path):
                if file.exists():
                    file.replace(file.with_name(file.name + ".damaged"))
        return error
    return None


def write(path: Path, card: Card, *, keras: bytes, onnx: bytes) -> Model:
    """Write a model completely or not at all; `card.sha256` is filled in here.

    Raises
    ------
    ModelError
        If the folder cannot be written or is full.
    """
    card = replace(card, sha256=_hashes(keras, onnx))
    contents = (keras, onnx, card.to_json().encode())
    files = files_of(path)
    with model_folder_errors(path.parent):
        create_folder(path.parent)
        temporary: list[Path] = []
        try:
            temporary.extend(write_temporary(path.parent, content) for content in contents)
            files[-1].unlink(missing_ok=True)
            for source, file in zip(temporary, files, strict=True):
                source.replace(file)
        finally:
            for source in temporary:
                source.unlink(missing_ok=True)
    return Model(card=card, path=path, onnx=onnx)


@contextmanager
def model_folder_errors(folder: Path) -> Iterator[None]:
    """Turn an `OSError` of the model folder into a `ModelError`."""
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"The model folder {folder} cannot be written: {error.strerror or error}.",
            expected="a folder with write permission and free space.",
            remedy="free space or correct the permissions, or set CRYPTO_MODEL_DIR to another folder.",
        ) from error


def lock(path: Path) -> FileLock:
    """Return the lock for training the model at `path`; the system releases it when its holder dies."""
    with model_folder_errors(path.parent):
        create_folder(path.parent)
        lock_file = path.parent / f".{path.stem}.lock"
        create_file(lock_file)
        return FileLock(lock_file)
