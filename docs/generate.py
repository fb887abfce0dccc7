"""Write the pages of the documentation that follow from the code: ``python docs/generate.py``.

`tests/test_generated_docs.py` holds the written pages against what this returns.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from crypto_refactor.cli.command_table import COMMANDS, GROUPS, load_command

DOCS = Path(__file__).parent
_DEFAULT = re.compile(r"\s*\[default: (?P<value>[^\]]*)\]")
_HEAD = """# Commands and options

Written by `python docs/generate.py` from the commands themselves. Every command shows its own with `-h`; `crypto-refactor config COMMAND`
shows what is in force and where each value comes from. A script named in brackets is the same command.
"""


def commands_page() -> str:
    """Return every command with its help and its options, in Markdown."""
    parts = [_HEAD]
    for title, commands in GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [_command(name, line) for name, (_, line) in commands.items()]
    return "\n".join(parts)


def _command(name: str, line: str) -> str:
    command = load_command(name)
    words = [
        parameter.human_readable_name for parameter in command.params if isinstance(parameter, click.Argument)
    ]
    usage = " ".join(["crypto-refactor", name, *words, "[OPTIONS]"])
    rows = [_row(parameter) for parameter in command.params if isinstance(parameter, click.Option)]
    table = "\n".join(["| option | default | |", "|---|---|---|", *rows])
    return f"### {name}\n\n{line}\n\n```\n{usage}\n```\n\n{_help(command)}\n\n{table}\n"


def _help(command: click.Command) -> str:
    """Return the help as paragraphs of one line each."""
    paragraphs = (command.help or "").replace("\b", "").split("\n\n")
    return "\n\n".join(" ".join(text.split()) for text in paragraphs)


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    text = " ".join((option.help or "").split())
    stated = _DEFAULT.search(text)
    value = "" if option.is_flag else f" `{_value(option)}`"
    return f"| {names}{value} | {_default(option, stated)} | {_cell(_DEFAULT.sub('', text))} |"


def _value(option: click.Option) -> str:
    if option.metavar:
        return option.metavar.strip("[]").replace("|", " or ")
    if isinstance(option.type, click.Choice):
        return " or ".join(option.type.choices)
    return {"integer": "N", "integer range": "N", "float": "X", "float range": "X"}.get(
        option.type.name, "TEXT"
    )


def _default(option: click.Option, stated: re.Match[str] | None) -> str:
    if stated is not None:
        return _cell(stated["value"])
    if option.required:
        return "required"
    if option.show_default and isinstance(option.default, int | float | str):
        return _cell(f"{option.default:g}" if isinstance(option.default, float) else str(option.default))
    return ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").strip()


PAGES = {"commands.md": commands_page}


def main() -> int:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}: {len(COMMANDS)} commands")
    return 0


if __name__ == "__main__":
    sys.exit(main())
