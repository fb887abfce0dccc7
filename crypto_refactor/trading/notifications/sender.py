"""What every way to a receiver has in common."""

from dataclasses import dataclass
from typing import Protocol

from crypto_refactor.trading.notifications.notices import Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a notice was not taken, without anything secret, and whether the notice itself is at fault."""

    why: str
    notice_at_fault: bool = False


class Sender(Protocol):
    """One way to one receiver; used by one thread at a time.

    Attributes
    ----------
    name : str
        What may be shown of the receiver: the host of a webhook, or the name of a service.
    """

    name: str

    def send(self, notice: Notice) -> Refusal | None:
        """Send a notice once, within a few seconds; return why it was not taken, None if it was.

        Raises nothing: no failure of a receiver may end what sends to it.
        """
        ...
