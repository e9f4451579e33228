"""E-mail addresses as flows write them."""

from typing import Any

import pytest

from app.providers.email.address import Address, parse_address


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("ada@example.org", Address("ada@example.org")),
        ("  ada@example.org ", Address("ada@example.org")),
        ("Ada Lovelace <ada@example.org>", Address("ada@example.org", "Ada Lovelace")),
        ("Ada Lovelace<ada@example.org>", Address("ada@example.org", "Ada Lovelace")),
        ("<ada@example.org>", Address("ada@example.org")),
        ('"Lovelace, Ada" <ada@example.org>', Address("ada@example.org", "Lovelace, Ada")),
        ('"The \\"A\\" \\\\" <a@b.org>', Address("a@b.org", 'The "A" \\')),
        ({"email": "a@b.org"}, Address("a@b.org")),
        ({"email": "a@b.org", "name": None}, Address("a@b.org")),
        ({"email": "a@b.org", "name": "A <b>"}, Address("a@b.org", "A <b>")),
        ("a.b+c=d_e!#$%&'*/?^`{|}~-@b-c.d.org", Address("a.b+c=d_e!#$%&'*/?^`{|}~-@b-c.d.org")),
        ("root@localhost", Address("root@localhost")),
        ("a@straße.example", Address("a@xn--strae-oqa.example")),
        ("a@BÜCHER.example", Address("a@xn--bcher-kva.example")),
        (Address("a@b.org"), Address("a@b.org")),
    ],
)
def test_address_is_read_from_every_form(value: Any, address: Address) -> None:
    assert parse_address(value) == address


@pytest.mark.parametrize(
    "value",
    [
        "",
        "ada",
        "@b.org",
        "a@",
        "a@@b.org",
        "a@b.org, c@d.org",
        "a@b.org; c@d.org",
        "a@b.org c@d.org",
        "A <a@b.org>, B <c@d.org>",
        "a@b.org\r\nBcc: c@d.org",
        "A\nBcc: c@d.org <a@b.org>",
        "A\u2028B <a@b.org>",
        "A\x00 <a@b.org>",
        "A\ud800 <a@b.org>",
        ".a@b.org",
        "a.@b.org",
        "a..b@b.org",
        "ä@b.org",
        '"a b"@b.org',
        "a@-b.org",
        "a@b-.org",
        "a@b..org",
        "a@b.org.",
        "a@[127.0.0.1]",
        "a@b_c.org",
        "a@\u0661\u06f1.x",
        "a" * 65 + "@b.org",
        "a@" + "b" * 64 + ".org",
        "a@" + "b." * 127 + "org",
        "x" * 2000 + "@b.org",
        "A < a@b.org >",
        '"A <a@b.org>',
        'A" <a@b.org>',
        '"A" "B" <a@b.org>',
        '"A\\" <a@b.org>',
        '" <a@b.org>',
        {"email": "a@b.org", "name": "A\nB"},
        {"email": "a@b.org", "name": "A" * 257},
        {"email": "a@b.org", "name": 1},
        {"email": "a@b.org", "nom": "A"},
        {"email": 1},
        {"name": "A"},
        {},
        None,
        1,
        ["a@b.org"],
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^(is|must|holds|the name)") as caught:
        parse_address(value)
    if isinstance(value, str) and len(value) > len("a@b.org"):
        assert value not in str(caught.value)
