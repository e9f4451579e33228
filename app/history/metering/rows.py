"""Usage as JSON and as CSV show it.

In: rows. Out: documents; lines of text, a heading first, as RFC 4180 writes them. Refuses nothing:
no name of a tenant or a flow has a comma, a quote or a line's end.
"""

from datetime import UTC, datetime
from typing import Any, Final

from app.history.metering.reading import UsageRow
from app.history.metering.usage import FIGURES, PERCENTILES

COLUMNS: Final = ("tenant", "flow", "start", *FIGURES, *PERCENTILES)
CSV_MEDIA: Final = "text/csv"

_LINE_END: Final = "\r\n"


def heading() -> str:
    """Give the first line."""
    return ",".join(COLUMNS) + _LINE_END


def line_of(tenant: str, row: UsageRow) -> str:
    """Give a row's line; the flow is empty where all flows are meant."""
    return csv_line({"tenant": tenant, **document_of(row)})


def csv_line(document: dict[str, Any]) -> str:
    """Give the line of a row's document and its tenant; what is null is empty."""
    cells = (document[name] for name in COLUMNS)
    return ",".join("" if cell is None else str(cell) for cell in cells) + _LINE_END


def document_of(row: UsageRow) -> dict[str, Any]:
    """Give a row as JSON shows it, without the buckets."""
    return {
        "start": f"{datetime.fromtimestamp(row.start_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "start_ms": row.start_ms,
        "flow": row.flow,
        **row.usage.figures(),
        **row.usage.percentiles(),
    }
