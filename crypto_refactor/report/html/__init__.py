"""Results as one self-contained HTML page."""

from crypto_refactor.report.html.page import evaluation_html, report_html

__all__ = ["evaluation_html", "report_html"]
