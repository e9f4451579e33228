"""Usage as CSV.

In: rows. Out: lines of text, a heading first, as RFC 4180 writes them. Refuses nothing: names of
tenants and flows have no character that CSV or a spreadsheet would take for anything else.
"""

from datetime import UTC, datetime
from typing import Any, Final

from app.history.metering.reading import UsageRow
from app.history.metering.usage import FIGURES, PERCENTILES

COLUMNS: Final = ("tenant", "flow", "start", *FIGURES, *PERCENTILES)
LINE_END: Final = "\r\n"


def heading() -> str:
    """Give the first line."""
    return ",".join(COLUMNS) + LINE_END


def line_of(tenant: str, row: UsageRow) -> str:
    """Give a row's line; the flow is empty where all flows are meant."""
    document = document_of(row)
    cells = [tenant, row.flow or "", document["start"]]
    cells += [_cell(document[name]) for name in (*FIGURES, *PERCENTILES)]
    return ",".join(cells) + LINE_END


def document_of(row: UsageRow) -> dict[str, Any]:
    """Give a row as JSON shows it, without the buckets."""
    return {
        "start": f"{datetime.fromtimestamp(row.start_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "start_ms": row.start_ms,
        "flow": row.flow,
        **row.usage.figures(),
        **row.usage.percentiles(),
    }


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value}"
