"""A Dask cluster that may train models: its address, and what its workers must have in common with this process."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

from crypto_refactor import __version__
from crypto_refactor.errors import ModelError, UsageError
from crypto_refactor.model.settings import RECIPE, library_versions

_SCHEMES = frozenset({"tcp", "tls"})
_VARIABLES = {"KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "1"}
"""Environment variables by which the same versions compute other numbers, and what they mean where unset."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Dask cluster by the address of its scheduler; nothing is connected yet.

    Attributes
    ----------
    address : str
        ``tcp://host:port``, or ``tls://host:port`` with certificates from Dask's own configuration.

    Raises
    ------
    UsageError
        If it is no such address, or what speaks to a cluster is not installed.
    """

    address: str

    def __post_init__(self) -> None:
        if not _is_address(self.address):
            raise UsageError(
                f"The cluster is {self.address!r}.",
                expected="the address of a Dask scheduler, tcp://host:port.",
                remedy="correct --cluster or CRYPTO_CLUSTER: `dask scheduler` prints the address when it starts.",
            )
        # Only looked for: importing it takes a third of a second, and most runs train nothing.
        if find_spec("distributed") is None:
            raise UsageError(
                f"The cluster {self.address} cannot be used: the package distributed is not installed.",
                expected="the extra `cluster`, here and wherever a scheduler or worker runs.",
                remedy="pip install 'crypto-refactor[cluster]', or leave out --cluster and CRYPTO_CLUSTER.",
            )


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        whole = parts.scheme in _SCHEMES and bool(parts.hostname) and bool(parts.port)
    except ValueError:  # a port that is no number, half an IPv6 address
        return False
    # Dask knows no users: a password in the address would serve nothing but to be read in a message.
    bare = parts.path in {"", "/"} and not (parts.query or parts.fragment or "@" in parts.netloc)
    return whole and bare


def numeric_environment() -> dict[str, str]:
    """Return what decides, beside data and settings, which weights a fit ends with.

    The recipe and the versions are part of a model's name in the cache.  The processor is not, because one
    machine has one: kernels are chosen by its instruction sets, and each rounds in its own way.
    """
    import numpy as np

    vectors = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return {
        "crypto-refactor": __version__,
        "recipe": RECIPE.hash(),
        **library_versions(),
        "processor": " ".join([platform.machine(), *vectors]),
        **{name: os.environ.get(name, usual) for name, usual in _VARIABLES.items()},
    }


def require_same(wanted: Mapping[str, str]) -> None:
    """Refuse to train in this process, a cluster's worker, for one whose `numeric_environment` is another.

    Raises
    ------
    ModelError
        Naming every difference.
    """
    own = numeric_environment()
    differing = [
        f"{name} {own.get(name, 'unknown')} there, {wanted.get(name, 'unknown')} here"
        for name in sorted(own.keys() | wanted.keys())
        if own.get(name) != wanted.get(name)
    ]
    if differing:
        raise ModelError(
            f"A worker of the cluster, on {platform.node()}, would train other weights: {'; '.join(differing)}.",
            expected="the same versions and kind of processor on every worker as here, so that a model is the same "
            "wherever it was trained.",
            remedy="install the same versions there and start the worker anew, or stop it: models that were "
            "finished are kept.",
        )
