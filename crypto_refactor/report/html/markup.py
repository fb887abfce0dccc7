"""HTML in which everything is escaped that was not made here."""

from __future__ import annotations

import html
import json

VOID = frozenset({"meta", "br", "hr"})


class Html(str):
    """Markup: text that is put into a page as it is.  Only the functions of this module make it."""

    __slots__ = ()


def escaped(value: object) -> Html:
    """Return `value` as markup: `Html` as it is, anything else as text with every special character escaped."""
    return value if isinstance(value, Html) else Html(html.escape(str(value), quote=True))


def join(*children: object) -> Html:
    """Return `children` one after the other."""
    return Html("".join(map(escaped, children)))


def tag(element: str, *children: object, **attributes: object) -> Html:
    """Return an element.

    Parameters
    ----------
    element : str
        Its name.
    *children : object
        `Html`, or text to be escaped.
    **attributes : object
        Underscores stand for hyphens, and one at the end (``class_``) for nothing; None and False leave the
        attribute out, True gives it without a value.
    """
    given = "".join(_attribute(key, value) for key, value in attributes.items())
    if element in VOID:
        return Html(f"<{element}{given}>")
    return Html(f"<{element}{given}>{join(*children)}</{element}>")


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escaped(value)}"'


def coded(text: str) -> Html:
    """Return text in which names stand in backticks, with these names set as code."""
    return join(*(tag("code", part) if at % 2 else part for at, part in enumerate(text.split("`"))))


def unbroken(text: str) -> str:
    """Return figures that no line break parts from their unit."""
    return text.replace(" %", "\u00a0%").replace("± ", "±\u00a0")


def script_json(document: object) -> Html:
    """Return `document` as JSON that cannot end the script element it stands in.

    Raises
    ------
    ValueError
        If it holds a number that is not finite.
    """
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Html(text)


def chart_text(value: object) -> str:
    """Return `value` for plotly, which reads the texts of a chart as markup of its own."""
    return html.escape(str(value), quote=False)
