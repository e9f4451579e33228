"""Headers and query of a raw ASGI request, read once.

In: what the server parsed. Out: plain mappings. Refuses more query fields than anybody needs; how
many header bytes a request may have is the server's limit (`app.http.protocol`).
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl

from app.errors import BadRequestError

QUERY_FIELDS_MAX: Final = 100


def collect_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Give headers by name; values that came twice are joined by ``", "``.

    ASGI servers give names in lower case already.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def parse_query(raw: bytes) -> dict[str, str]:
    """Give query fields by name, percent-decoded; of a repeated field the last value counts.

    BadRequestError for more than `QUERY_FIELDS_MAX` fields or bytes that are no UTF-8.
    """
    if not raw:
        return {}
    try:
        fields = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=QUERY_FIELDS_MAX,
        )
    except ValueError:
        raise BadRequestError(
            f"the query is not UTF-8, or has more than {QUERY_FIELDS_MAX} fields"
        ) from None
    return dict(fields)
