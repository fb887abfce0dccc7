"""The check of a plug-in in the terminal: one line for each contract, and the bar that breaks one."""

from itertools import groupby

from crypto_refactor.plugin_checks import PluginReport


def plugin_check_text(report: PluginReport) -> str:
    """Return the report as several lines."""
    lines = [f"Plug-in {report.file.name} {report.file.hash}, {report.file.path}", *_pieces(report), ""]
    broken = [contract for contract in report.contracts if not contract.kept]
    count = len(report.contracts)
    lines.append(f"{count - len(broken)} of {count} contracts are kept, on {'; '.join(report.bars)}.")
    return "\n".join(lines)


def _pieces(report: PluginReport) -> list[str]:
    lines = []
    for (kind, piece), contracts in groupby(
        report.contracts, key=lambda contract: (contract.kind, contract.piece)
    ):
        speed = report.milliseconds.get(piece) if kind == "indicator" else None
        took = "" if speed is None else f"   {speed:.2f} ms per 1,000 bars"
        lines += ["", f"{kind} {piece}{took}"]
        for contract in contracts:
            mark = "ok    " if contract.kept else "BROKEN"
            lines.append(f"  {mark}  {contract.name:<7} {contract.meaning}")
            if contract.breach is not None:
                lines.append(f"          {contract.breach}")
    return lines
