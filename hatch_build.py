"""The description of the package: the README, without links that lead nowhere outside the repository."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"!\[[^\]]*\]\((?!https?:)[^)]*\)\n*")
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)]+)\)")
_NOTE = "The pages in `docs/` and the other files that this text names come with the source distribution.\n"


def description(readme: str) -> str:
    """Return the README for a package index: a relative link becomes its text and the name of the file."""
    text = _PICTURE.sub("", readme)
    text = _LINK.sub(lambda link: link[1] if link[1] == link[2] else f"{link[1]} (`{link[2]}`)", text)
    return f"{text.rstrip()}\n\n{_NOTE}"


class DescriptionHook(MetadataHookInterface):
    """Sets the description when a wheel or an sdist is built, or the package is installed."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the field that `pyproject.toml` leaves to this hook."""
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": description(readme)}
