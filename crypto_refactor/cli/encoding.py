"""Marks for terminals and pipes whose encoding lacks those of the text: cp1252, ASCII."""

import codecs
import io

_ERRORS = "crypto_refactor.marks"
_ASCII = "crypto_refactor_ascii"
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


def write_likenesses(stream: io.TextIOWrapper) -> None:
    """Make a stream write what its encoding lacks by what it has."""
    errors = likeness_errors()
    if codecs.lookup(stream.encoding).name != "ascii":
        stream.reconfigure(errors=errors)
        return
    # click takes a stream in ASCII for a mistake and writes UTF-8 to it, unless it goes by another name.
    codecs.register(_ascii_by_another_name)
    stream.reconfigure(encoding=_ASCII, errors=errors)


def _ascii_by_another_name(name: str) -> codecs.CodecInfo | None:
    if name != _ASCII:
        return None
    ascii_ = codecs.lookup("ascii")
    return codecs.CodecInfo(
        ascii_.encode,
        ascii_.decode,
        ascii_.streamreader,
        ascii_.streamwriter,
        ascii_.incrementalencoder,
        ascii_.incrementaldecoder,
        name=_ASCII,
    )


def likeness_errors() -> str:
    """Return the name of the way to write what an encoding lacks, for ``errors`` of a stream."""
    codecs.register_error(_ERRORS, _replaced)
    return _ERRORS
