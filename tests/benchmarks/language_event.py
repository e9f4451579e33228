"""The order event of the language benchmark: about 1 KB as JSON."""

from typing import Any

ITEMS = [
    {"sku": "TEA-100", "name": "Green tea, loose, 100 g", "price": 12.5, "quantity": 2},
    {"sku": "CUP-002", "name": "Cup without a handle", "price": 18.0, "quantity": 4},
    {"sku": "POT-011", "name": "Cast-iron pot, 0.8 l", "price": 64.9, "quantity": 1},
    {"sku": "SIE-007", "name": "Fine sieve", "price": 7.25, "quantity": 1},
    {"sku": "BOX-003", "name": "Gift box with ribbon", "price": 4.0, "quantity": 3},
]
ORDER: dict[str, Any] = {
    "id": "01JBENCH0000000000000000AA",
    "event_type": "order.created",
    "source": "webhook",
    "timestamp": 1_772_362_805_123,
    "payload": {
        "order_id": "A-2026-000417",
        "currency": "EUR",
        "total": 180.94,
        "express": False,
        "customer": {
            "id": 9_007_199_254_740_993,
            "email": "customer@example.com",
            "address": {"street": "1 Example Road", "city": "Exampleton", "code": "00000"},
        },
        "items": ITEMS,
    },
    "metadata": {
        "provider": "events-webhook",
        "delivery_id": "d-77f0c1",
        "headers": {
            "content-type": "application/json",
            "user-agent": "shop/4.2",
            "x-request-id": "7d7f3c1e-5a0b-4f0e-9f51-0d2f6a1c8e11",
            "x-shop-event": "order.created",
            "accept-language": "en-GB",
        },
        "query": {},
    },
}
