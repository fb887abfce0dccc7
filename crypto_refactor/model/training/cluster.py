"""The address of a Dask cluster that trains models."""

from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

from crypto_refactor.errors import UsageError

_SCHEMES = frozenset({"tcp", "tls"})


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Dask cluster by the address of its scheduler, ``tcp://host:port`` or ``tls://host:port``; not connected yet.

    Raises
    ------
    UsageError
        If the address is malformed, or distributed is not installed.
    """

    address: str

    def __post_init__(self) -> None:
        if not is_address(self.address):
            raise invalid_address("" if "@" in self.address else self.address)
        if find_spec("distributed") is None:
            raise UsageError(
                f"The cluster {self.address} cannot be used: the package distributed is not installed.",
                expected="the extra `cluster`, here and on every machine with a scheduler or worker.",
                remedy="pip install 'crypto-refactor[cluster]', or leave out --cluster and CRYPTO_CLUSTER.",
            )


def invalid_address(shown: str) -> UsageError:
    """Return the error of a malformed address, which is `shown` only where it holds no password."""
    return UsageError(
        f"The cluster is {shown!r}." if shown else "The address of the cluster is not valid.",
        expected="the address of a Dask scheduler, tcp://host:port.",
        remedy="correct --cluster or CRYPTO_CLUSTER: `dask scheduler` prints the address when it starts.",
    )


def is_address(text: str) -> bool:
    """Whether `text` is the address of a scheduler, without a user or a password."""
    try:
        parts = urlsplit(text)
        complete = parts.scheme in _SCHEMES and bool(parts.hostname) and bool(parts.port)
    except ValueError:  # a port that is no number, half an IPv6 address
        return False
    # Dask has no users: a password in the address would only show up in messages.
    bare = parts.path in {"", "/"} and not (parts.query or parts.fragment or "@" in parts.netloc)
    return complete and bare
