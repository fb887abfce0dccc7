"""Marks for terminals and pipes whose encoding lacks those of the text: cp1252, ASCII."""

import codecs

_ERRORS = "crypto_refactor.marks"
_INSTEAD = {
    **dict(zip("▲▼■✓✗✘•·", "^v#+xx*.", strict=True)),
    **dict(zip("▁▂▃▄▅▆▇█━╸╺", "..::++##---", strict=True)),
    **dict(zip("─│┤└├┬┴┼", "-||+++++", strict=True)),
    "–": "-",
    "—": "-",
    "−": "-",
    "×": "x",
    "±": "+-",
    "…": "...",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "‰": "per mille",
    "\N{NO-BREAK SPACE}": " ",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
}


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for characters that cannot be encoded; one without a likeness is escaped."""
    assert isinstance(error, UnicodeEncodeError), "of output only"
    text = error.object[error.start : error.end]
    return "".join(_INSTEAD.get(each, ascii(each)[1:-1]) for each in text), error.end


def likeness_errors() -> str:
    """Return the name of the way to write what an encoding lacks, for ``errors`` of a stream."""
    codecs.register_error(_ERRORS, _replaced)
    return _ERRORS
