"""E-mail addresses as flows write them.

In: ``"a@b.org"``, ``"Name <a@b.org>"`` or ``{email, name}``. Out: an `Address`. Refuses, with
ValueError, whatever is none, several addresses in one text, and control characters: a text filled
in from a stranger's payload must not add recipients or headers.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import idna

LOCAL_CHARS_MAX: Final = 64
DOMAIN_CHARS_MAX: Final = 253
NAME_CHARS_MAX: Final = 256
TEXT_CHARS_MAX: Final = 1024
"""Longer texts are not looked at."""

_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
"""A dot-atom (RFC 5322 3.2.3). Quoted local parts exist on paper; services refuse them."""

_DOMAIN: Final = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_ESCAPED: Final = re.compile(r'(?:[^"\\]|\\.)*')
_KEYS: Final = frozenset({"email", "name"})


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox: ``email`` is ASCII (its domain in the DNS's form), ``name`` may be empty."""

    email: str
    name: str = ""

    @property
    def domain(self) -> str:
        """Give what stands behind the ``@``."""
        return self.email.rpartition("@")[2]


def parse_address(value: Any) -> Address:
    """Read one address from any of the forms flows may use; ValueError says what is wrong."""
    if isinstance(value, Address):
        return value
    if isinstance(value, str):
        return _parse_text(value)
    if isinstance(value, dict):
        return _parse_mapping(value)
    raise ValueError("must be an address: text, or a map of 'email' and 'name'")


def check_line(text: str, chars_max: int) -> str:
    """Give a text back that may stand in a header; ValueError for control characters or length."""
    if len(text) > chars_max:
        raise ValueError(f"is longer than {chars_max} characters")
    if not text.isprintable() and any(_breaks_line(char) for char in text):
        raise ValueError("holds a line break or another control character")
    return text


def _breaks_line(char: str) -> bool:
    """Tell what headers cannot carry: control characters, what Unicode breaks lines at, halves."""
    return (
        char < " "
        or "\x7f" <= char <= "\x9f"
        or char in "\u2028\u2029"
        or "\ud800" <= char <= "\udfff"
    )


def _parse_text(text: str) -> Address:
    check_line(text, TEXT_CHARS_MAX)
    text = text.strip()
    if not text.endswith(">"):
        return Address(_check_email(text))
    name, found, email = text[:-1].rpartition("<")
    if not found:
        raise ValueError("is no e-mail address")
    return Address(_check_email(email), _check_name(_unquote(name.strip())))


def _unquote(name: str) -> str:
    """Read a display name: text, or a quoted one with its escapes."""
    if not name.startswith('"'):
        if "<" in name or ">" in name or '"' in name:
            raise ValueError("is no e-mail address: put a name with '<', '>' or '\"' in quotes")
        return name
    inner = name[1:-1]
    if len(name) < len('""') or not name.endswith('"') or not _ESCAPED.fullmatch(inner):
        raise ValueError("is no e-mail address: the quotes of its name do not match")
    return re.sub(r"\\(.)", r"\1", inner)


def _parse_mapping(value: dict[Any, Any]) -> Address:
    email, name = value.get("email"), value.get("name")
    if not value.keys() <= _KEYS or not isinstance(email, str):
        raise ValueError("must be a map of 'email' and, if you like, 'name'")
    if name is not None and not isinstance(name, str):
        raise ValueError("the name of an address must be text")
    return Address(_check_email(email.strip()), _check_name(name or ""))


def _check_name(name: str) -> str:
    return check_line(name, NAME_CHARS_MAX).strip()


def _check_email(email: str) -> str:
    local, found, domain = email.rpartition("@")
    if not found:
        raise ValueError("is no e-mail address: it has no '@'")
    if len(local) > LOCAL_CHARS_MAX or not _LOCAL.fullmatch(local):
        raise ValueError(
            "is no e-mail address: the part before '@' must be ASCII letters, digits and"
            " punctuation, dots only between them"
        )
    return f"{local}@{_check_domain(domain)}"


def _check_domain(domain: str) -> str:
    """Give a domain in ASCII; international ones are encoded as browsers do (IDNA 2008, UTS 46)."""
    if domain and not domain.isascii() and len(domain) <= DOMAIN_CHARS_MAX:
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise ValueError("is no e-mail address: its domain is none") from None
    if len(domain) > DOMAIN_CHARS_MAX or not _DOMAIN.fullmatch(domain):
        raise ValueError("is no e-mail address: its domain is none")
    return domain
