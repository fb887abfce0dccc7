"""How results show themselves in a program: short in a prompt, as a table in a notebook, whole as a dictionary or a page.

The texts belong to the room `report`, which lies above the results.  This module is the one place that points up to it,
when a method is called and not before: a result is computed and passed on without any report being imported.
"""

from pathlib import Path
from typing import Any


class Presented:
    """A result that shows itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        from crypto_refactor.report.display import summary_text

        return summary_text(self)

    def _repr_html_(self) -> str:
        from crypto_refactor.report.display import summary_html

        return summary_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the documented JSON, as the command prints it with ``--json``: UTC times, None for undefined values."""
        from crypto_refactor.report.display import document

        return document(self)


class PresentedRun(Presented):
    """The result of a run, which also has a page."""

    __slots__ = ()

    def report(self, path: Path | str, *, tz: str = "UTC") -> Path:
        """Write the page that ``--report`` writes: one HTML file that loads nothing from anywhere.

        Parameters
        ----------
        path : Path or str
            The file; one that is there is replaced.
        tz : str
            Time zone of all times on the page, for example ``America/Denver``.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        UsageError
            If there is no such time zone.
        DataError
            If the file cannot be written.
        """
        from crypto_refactor.report.display import page

        file = Path(path)
        page(self, file, tz)
        return file
