"""What is installed, which keys are set, and whether the folders can take what a run writes."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from crypto_refactor.config import EnvironmentSettings
from crypto_refactor.errors import BrokerError, ModelError, UsageError
from crypto_refactor.model.recipe import TRAINING_LIBRARIES
from crypto_refactor.storage.atomic_file import write_obstacle
from crypto_refactor.trading.health.finding import Finding, failed, fine, warning
from crypto_refactor.version import __version__

SERVES = ("numpy", "pandas", "onnxruntime", "alpaca-py")
FEW_BYTES, NO_BYTES = 2 * 10**9, 2 * 10**8
"""The cache of models may grow to the first; below the second a day's copies of a ledger may not fit."""


def installed_version(package: str) -> str | None:
    """Return the version of an installed package without importing it; None where it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def version_findings(installed: Callable[[str], str | None] = installed_version) -> Iterator[Finding]:
    """Say which versions are installed, and what is missing to serve or to train."""
    found = {package: installed(package) for package in (*SERVES, *TRAINING_LIBRARIES)}
    named = ", ".join(f"{package} {found[package]}" for package in SERVES if found[package])
    text = f"crypto-refactor {__version__} on Python {platform.python_version()}; {named}."
    missing = [package for package in SERVES if not found[package]]
    if missing:
        text = f"Not installed: {', '.join(missing)}. {text}"
        yield failed("versions", text, f"pip install {' '.join(missing)}", UsageError.exit_code)
    else:
        yield fine("versions", text)
    if missing := [package for package in TRAINING_LIBRARIES if not found[package]]:
        yield warning(
            "training",
            f"Not installed: {', '.join(missing)}. Models are served, and none can be trained here.",
            "train elsewhere and share the model folder, or install the package with its dependencies.",
        )
    else:
        yield fine(
            "training", ", ".join(f"{package} {found[package]}" for package in TRAINING_LIBRARIES) + "."
        )


def key_findings(environment: EnvironmentSettings, *, needed: bool) -> Iterator[Finding]:
    """Say whether Alpaca's keys are set, never what they are; `needed` by an account there."""
    given = {
        "ALPACA_API_KEY": environment.alpaca_api_key,
        "ALPACA_SECRET_KEY": environment.alpaca_secret_key,
    }
    missing = [name for name, key in given.items() if key is None or not key.get_secret_value()]
    kind = "paper" if environment.alpaca_paper else "real money (ALPACA_PAPER=false)"
    if not missing:
        yield fine("keys", f"Both keys of Alpaca are set, for {kind}.")
    elif needed or len(missing) == 1:
        text = f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not set."
        yield failed(
            "keys", text, f"set {' and '.join(missing)} in the environment or .env.", BrokerError.exit_code
        )
    else:
        yield fine("keys", "No keys of Alpaca are set; bars and the demo account need none.")


def folder_findings(
    folders: Mapping[str, Path], *, free: Callable[[Path], int] | None = None
) -> Iterator[Finding]:
    """Say whether each folder can be written, and how much space is left there."""
    for name, folder in folders.items():
        code = ModelError.exit_code if name == "model folder" else BrokerError.exit_code
        existing = nearest_existing(folder)
        obstacle = write_obstacle(existing) if existing.is_dir() else f"{existing} is a file"
        if obstacle is not None:
            yield failed(
                name,
                f"{folder} cannot be written: {obstacle}.",
                f"correct the permissions of {existing}, free space there, or choose another folder.",
                code,
            )
        else:
            yield fine(
                name,
                f"{folder} can be written{'' if existing == folder else ' (it is created when needed)'}.",
            )
        if existing.is_dir():
            yield from _space(name, existing, (free or _free)(existing), code)


def _space(name: str, folder: Path, free: int, code: int) -> Iterator[Finding]:
    check, text = name.replace("folder", "disk"), f"{free / 1e9:,.1f} GB are free at {folder}."
    remedy = "free space; `crypto-refactor models --prune` shrinks the cache of models."
    if free < NO_BYTES:
        yield failed(check, text, remedy, code)
    elif free < FEW_BYTES:
        yield warning(check, text, remedy)
    else:
        yield fine(check, text)


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def nearest_existing(path: Path) -> Path:
    """Return the path, or the nearest one above it that exists."""
    return next((each for each in (path, *path.parents) if each.exists()), Path("/"))
