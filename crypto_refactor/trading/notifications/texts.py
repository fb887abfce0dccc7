"""Notices as people read them: a title, and a body of a few lines."""

from crypto_refactor.trading.notifications.notices import Notice

_TITLES = {
    "start": "Trading has begun",
    "heartbeat": "Alive",
    "summary": "Daily summary",
    "stop": "Trading has ended",
    "fill": "Filled",
    "refused": "Order refused",
    "halt": "Entries",
    "failure": "Failure",
    "unknown_outcome": "Unknown outcome of an order",
    "unavailable": "No longer offered",
    "available": "Offered again",
    "recovered": "Traded again",
    "unmanaged": "Holding that is not managed",
    "managed": "Holding that was not managed",
    "alarm": "Alarm of the record of forecasts",
    "output": "Output that cannot be written",
    "signal": "Signal",
    "test": "Test",
}
_SERIOUS = {"failure", "unknown_outcome", "refused", "unavailable"}
_WARNING = {"halt", "unmanaged", "alarm", "output", "stop"}


def title(notice: Notice) -> str:
    """Return what a notice is about in one line; a kind without a title of its own keeps its name."""
    kind, subject = notice["kind"], notice["ticker"] or notice["account"]
    name = _TITLES.get(kind, kind)
    return f"{name}: {subject}" if subject else str(name)


def body(notice: Notice) -> str:
    """Return what a notice says, with its remedy and its time."""
    lines = [notice["text"]]
    if notice.get("remedy"):
        lines.append(f"Remedy: {notice['remedy']}")
    about = [str(notice[name]) for name in ("account", "at") if notice.get(name)]
    return "\n".join([*lines, " · ".join(about)] if about else lines)


def urgency(notice: Notice) -> str:
    """Return ``failure``, ``warning`` or ``info``: how a service may mark a notice."""
    kind = notice["kind"]
    return "failure" if kind in _SERIOUS else "warning" if kind in _WARNING else "info"
