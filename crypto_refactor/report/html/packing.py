"""Scripts and data within a page, compressed: plotly alone would make it almost 5 MB.

A packed text is gzip in Base85 (RFC 1924) with ``,`` in place of ``<``, so that no tag can end in it.  `unpack.js` reads it.
"""

import base64
import gzip
import json
from functools import cache


def packed(text: str) -> str:
    """Return a text for a script element; the same text always gives the same."""
    content = gzip.compress(text.encode(), compresslevel=9, mtime=0)
    return base64.b85encode(content).decode().replace("<", ",")


def packed_json(value: object) -> str:
    """Return a value as packed JSON.

    Raises
    ------
    ValueError
        If it holds a number that JSON does not have.
    """
    return packed(json.dumps(value, allow_nan=False, separators=(",", ":")))


@cache
def packed_plotly() -> str:
    """Return plotly's own file, packed."""
    from plotly.offline import get_plotlyjs

    return packed(get_plotlyjs())
