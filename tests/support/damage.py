"""What can be wrong with a file: damage to its bytes, and values that nothing has written but that it can hold."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress

DEEP = 200_000
BYTES = (b"", b"\xff\xfe", b"not a database", b"SQLite format 3\x00", b"\x00" * 5000, b'{"a": 1}')
VALUES = (
    *(None, "", "x", " ", "NaN", "1e999", "[/x]", "\x1b[2J", "%s{0}", "\u202e🚀", "../../x", "a" * 100_000),
    *("BTC/USD", "btc/usd", "2024-06-01T00:00:00", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00+23:00"),
    *(0, -1, 1, 2, 3, 10**7, 2**31, 2**63 - 1, -(2**63), b"\xff\x00", b""),
    *(1.5, -1.5, 1e-320, 1e30, 1e300, -1e308, float("inf"), float("-inf")),
)
LITERALS = (
    *("null", "true", "false", '""', '"x"', "[]", "{}", "[[]]", '{"a": []}', '"\\ud800"', '"\\u0000"'),
    *("0", "-1", "2", "1.5", "1e999", "-1e308", "1e-320", "NaN", "Infinity", "1" * 400, "9" * 5000),
    *('"[/x]"', '"' + "a" * 100_000 + '"', "[" * DEEP + "]" * DEEP, '"\\u001b[2J"', '"1.0"', "477000"),
)


def damaged_bytes(rng, content, page=4096):
    """Return the bytes of a file after one accident, and its name."""
    kind = rng.choice(sorted(_ACCIDENTS))
    data = bytearray(content)
    _ACCIDENTS[kind](rng, data, page)
    return bytes(data), kind


def _page(rng, data, page):
    start = page * rng.randrange(max(len(data) // page, 1))
    return slice(start, start + page)


def _cut(rng, data, page):
    del data[rng.randrange(len(data)) :]


def _flip(rng, data, page):
    for _ in range(rng.choice([1, 3, 30, 300])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _zero(rng, data, page):
    data[_page(rng, data, page)] = bytes(page)


def _swap(rng, data, page):
    first, second = _page(rng, data, page), _page(rng, data, page)
    data[first], data[second] = data[second], data[first]


def _noise(rng, data, page):
    data[_page(rng, data, page)] = rng.randbytes(page)


def _header(rng, data, page):
    data[rng.randrange(min(100, len(data)))] = rng.randrange(256)


def _append(rng, data, page):
    data += rng.randbytes(rng.choice([1, 100, page]))


def _version(rng, data, page):
    data[60:64] = rng.choice([0, 2, 99, 2**31 - 1, 2**32 - 1]).to_bytes(4, "big")


def _other(rng, data, page):
    data[:] = rng.choice(BYTES)


_ACCIDENTS = {
    "cut": _cut,
    "flip": _flip,
    "zero": _zero,
    "swap": _swap,
    "noise": _noise,
    "header": _header,
    "append": _append,
    "version": _version,
    "other": _other,
}


def spoil_value(rng, path):
    """Put a hostile value, or hostile JSON, into one column of a database; return what was done."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = lambda text: text.decode(errors="replace")
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        table = rng.choice(tables)
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        column = rng.choice(names + 3 * [name for name in names if name in {"state", "entry", "about"}])
        where = _some_row(rng, connection, table, column)
        done = "as it was"
        with suppress(sqlite3.OperationalError):  # after earlier damage it may be impossible
            done = _spoil(rng, connection, table, column, where)
        connection.commit()
    return f"{table}.{column} {done}"


def _some_row(rng, connection, table, column):
    values = [value for (value,) in connection.execute(f"SELECT {column} FROM {table}")]
    return rng.choice(values) if values else None


def _spoil(rng, connection, table, column, old):
    if isinstance(old, str) and old.startswith("{"):
        return _put(connection, table, column, old, hostile_json(rng, old))
    kind = rng.randrange(12)
    if kind == 0:
        connection.execute(f"DELETE FROM {table} WHERE {column} IS ?", (old,))
        return "row deleted"
    if kind == 1:
        connection.execute(f"UPDATE OR IGNORE {table} SET {column} = CAST(x'eda080ff' AS TEXT)")
        return "not UTF-8"
    if kind == 2:
        connection.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO other")
        return "column renamed"
    return _put(connection, table, column, old, rng.choice(VALUES))


def _put(connection, table, column, old, value):
    where, bound = f"WHERE {column} IS ?", (value, old)
    try:
        connection.execute(f"UPDATE {table} SET {column} = ? {where}", bound)
    except sqlite3.IntegrityError:  # the table does not take it: one that takes anything may take its place
        connection.execute(f"CREATE TABLE taken AS SELECT * FROM {table}")
        connection.execute(f"DROP TABLE {table}")
        connection.execute(f"ALTER TABLE taken RENAME TO {table}")
        connection.execute(f"UPDATE {table} SET {column} = ? {where}", bound)
    return f"= {value!r:.40}"


def hostile_json(rng, text):
    """Return JSON with one value changed, or what is none."""
    if rng.random() < 0.15:
        return rng.choice([*LITERALS, "", "{", "[1,", text[: len(text) // 2], text + text])
    with suppress(ValueError):
        document = json.loads(text)
        holder = document
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                return rng.choice(LITERALS)
            key = rng.choice(keys)
            inner = holder[key]
            if not isinstance(inner, dict | list) or not inner or rng.random() < 0.2:
                break
            holder = inner
        if rng.random() < 0.15 and isinstance(holder, dict):
            del holder[key]
            holder[rng.choice(["x", "reason", "side", "halted"])] = 1
            return json.dumps(document)
        holder[key] = "@@"
        return json.dumps(document).replace('"@@"', rng.choice(LITERALS))
    return text


def hostile_env(rng, secret):
    """Return the bytes of an `.env` that holds `secret` where values are."""
    lines = [f"ALPACA_API_KEY={secret}", f"ALPACA_SECRET_KEY={secret}"]
    names = ("CRYPTO_SOURCE", "CRYPTO_CLUSTER", "ALPACA_PAPER", "CRYPTO_DATA_DIR", "CRYPTO_ALPACA_DATA_URL")
    values = (
        *(secret, f"'{secret}", f'"{secret}', f"tcp://u:{secret}@host:1", f"http://u:{secret}@127.0.0.1:1"),
        *("~nobody-here/x", "${" + secret, "${HOME}" * 50, "\\x00" + secret, "a" * 50_000, "", "#", "=" * 50),
    )
    for _ in range(rng.randrange(1, 6)):
        name = rng.choice([*names, "CRYPTO_STATE_DIR", "", "1BAD NAME", "export X", "ÄÖ", "a.b", "💥"])
        lines.insert(
            rng.randrange(len(lines)), f"{name}{rng.choice(['=', ' = ', '', ':', '=='])}{rng.choice(values)}"
        )
    content = rng.choice(["\n", "\r\n", "\r", "\n\n\n"]).join(lines).encode()
    kind = rng.randrange(8)
    if kind == 0:
        return content.decode().encode(rng.choice(["utf-16", "utf-32", "utf-8-sig"]))
    if kind == 1:
        return content + rng.randbytes(rng.choice([10, 1000]))
    if kind == 2:
        return content + b"\0" * rng.choice([1, 100])
    if kind == 3:
        return content * (2_000_000 // len(content) if rng.random() < 0.3 else 50)
    if kind == 4:
        return damaged_bytes(rng, content, page=16)[0]
    return content
