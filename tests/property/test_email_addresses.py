"""Addresses: writing and reading are inverses, and nothing gets past that could add a header."""

from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers.email.address import (
    DOMAIN_CHARS_MAX,
    LOCAL_CHARS_MAX,
    NAME_CHARS_MAX,
    Address,
    parse_address,
)
from tests.support.mailing import format_address

ATOM = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+/=?^_`{|}~-",
    min_size=1,
    max_size=15,
)
LOCALS = st.lists(ATOM, min_size=1, max_size=4).map(".".join)
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
DOMAINS = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
NAMES = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=NAME_CHARS_MAX
).map(str.strip)
ADDRESSES = st.builds(
    lambda local, domain, name: Address(f"{local}@{domain}", name), LOCALS, DOMAINS, NAMES
)


@given(ADDRESSES)
@settings(deadline=None)
def test_written_address_reads_as_itself(address: Address) -> None:
    assert parse_address(format_address(address)) == address
    assert parse_address({"email": address.email, "name": address.name}) == address


@given(st.text(max_size=80) | st.text('<>@",\\. \n\rab:;', max_size=30))
@settings(deadline=None)
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        address = parse_address(text)
    except ValueError:
        return
    local, _, domain = address.email.rpartition("@")
    assert 0 < len(local) <= LOCAL_CHARS_MAX
    assert 0 < len(domain) <= DOMAIN_CHARS_MAX
    assert address.email.isascii()
    assert not set(address.email) & set(' ,;:<>"\\\r\n\t()[]')
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in address.name)
    assert parse_address(format_address(address)) == address


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))  # fmt: skip
@settings(deadline=None)
def test_any_json_is_an_address_or_a_value_error(value: object) -> None:
    try:
        assert isinstance(parse_address(value), Address)
    except ValueError:
        return
