"""What may be wrong with the JSON of an answer: one value, one field, one row, or all of it."""

from __future__ import annotations

import copy
import json

DEEP = 100_000
_MARK = "@@"
LITERALS = (
    *("null", "true", "false", '""', '"x"', "[]", "{}", "[[]]", '[{"a": 1}]', '"\\ud800"', '"\\u0000"'),
    *("0", "-1", "1", "0.5", "1e308", "-1e308", "1e999", "1e-300", "NaN", "-Infinity", "Infinity"),
    *('"0"', '"-1"', '"1e308"', '"1e-300"', '"NaN"', '"Infinity"', '"-0.02"', '" 1 "', '"1_0"', '"0x10"'),
    *("9" * 400, "9" * 5000, '"' + "9" * 5000 + '"', '"' + "a" * 100_000 + '"', "[" * DEEP + "]" * DEEP),
    *('"\u0661\u0662.\u0663"', '"\uff11\uff12"', '"\u00b2"', '"1,000"', '"$5"'),
    *('"ETH/USD"', '"ETHUSD"', '"btc/usd"', '"BTC/USDT"', '"buy"', '"sell"', '"hold"', '"us_equity"'),
    *('"2020-01-01T00:00:00Z"', '"2090-01-01T00:00:00Z"', '"2024-06-10T12:30:00Z"', '"9999-99-99T99:99:99Z"'),
    *('"cr-BTCUSD-2024061012-enter-00000000"', '"00000000-0000-0000-0000-000000000000"'),
)


def hostile(rng, content):
    """Return the text of an answer in which something is wrong, and what."""
    document = copy.deepcopy(content)
    spots = list(_spots(document))
    lists = [part for part in (document, *(holder[key] for holder, key in spots)) if _rows(part)]
    kind = rng.random()
    if not spots or kind < 0.06:
        return _whole(rng, document)
    if lists and kind < 0.25:
        return _row_changed(rng, document, rng.choice(lists))
    holder, key = rng.choice(spots)
    if kind < 0.35 and isinstance(holder, dict):
        name = f"without {key}"
        del holder[key]
        return json.dumps(document), name
    if kind < 0.4 and isinstance(holder, dict):
        holder[f"{key}_"] = holder[key]
        return json.dumps(document), f"with {key}_"
    if kind < 0.5 and isinstance(holder[key], str | int | float):
        old, holder[key] = holder[key], _relative(rng, holder[key])
        return json.dumps(document), f"{key} {old!r:.30} became {holder[key]!r:.40}"
    holder[key], literal = _MARK, rng.choice(LITERALS)
    return json.dumps(document).replace(f'"{_MARK}"', literal), f"{key} = {literal:.40}"


def _spots(part):
    if isinstance(part, dict | list):
        for key in part if isinstance(part, dict) else range(len(part)):
            yield part, key
            yield from _spots(part[key])


def _rows(part):
    return isinstance(part, list) and len(part) > 0


def _whole(rng, document):
    text = json.dumps(document)
    made = rng.choice(
        (*LITERALS, "", "{", text[: len(text) // 2], text + text, f"[{text}]", f'{{"a": {text}}}')
    )
    return made, f"all of it {made!r:.40}"


def _row_changed(rng, document, rows):
    kind = rng.choice(
        ("emptied", "repeated", "reversed", "one left out", "swapped values", "a list for an object")
    )
    first, second = rng.randrange(len(rows)), rng.randrange(len(rows))
    if kind == "emptied":
        rows.clear()
    elif kind == "repeated":
        rows.insert(second, copy.deepcopy(rows[first]))
    elif kind == "reversed":
        rows.reverse()
    elif kind == "one left out":
        del rows[first]
    elif kind == "swapped values" and isinstance(rows[first], dict) and isinstance(rows[second], dict):
        key = rng.choice(sorted(rows[first]))
        rows[first][key], rows[second][key] = rows[second].get(key), rows[first][key]
    else:
        rows[first] = [rows[first]]
    return json.dumps(document), f"rows {kind}"


def _relative(rng, value):
    """Return something near a value that it is not: its negative, a multiple, itself as another type."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return rng.choice((value.upper(), value[::-1], f" {value}", f"{value}x", [value], value[:-1]))
    made = rng.choice((-number, number * 10, number / 10, number * 1e6, number * 1e-6, number * 1e300))
    return f"{made:.9f}" if isinstance(value, str) and abs(made) < 1e12 else made
