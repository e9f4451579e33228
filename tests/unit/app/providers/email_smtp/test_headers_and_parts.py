"""Header lines and MIME parts as they go over the wire."""

import base64

import pytest

from app.providers.email.address import Address
from app.providers.email.attachment import Attachment
from app.providers.email_smtp.headers import (
    address_list,
    parameter,
    phrase,
    unstructured,
    write_header,
)
from app.providers.email_smtp.mime import Part, file_part, multipart, text_part

ENCODED_22 = base64.b64encode(("ä" * 22).encode()).decode()
"""44 bytes: one more character would not fit the word."""


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Hello", "Hello"),
        ("  a  b ", "a  b"),
        ("", ""),
        ("Grüße", "=?utf-8?b?R3LDvMOfZQ==?="),
        ("=?utf-8?q?a?=", "=?utf-8?b?PT91dGYtOD9xP2E/PQ==?="),
        ("ä" * 23, f"=?utf-8?b?{ENCODED_22}?=\r\n =?utf-8?b?w6Q=?="),
    ],
)
def test_free_text(text: str, written: str) -> None:
    assert unstructured(text, "Subject") == written


def test_long_text_is_folded_at_blanks_and_reads_the_same() -> None:
    text = "word " * 60 + "x" * 300
    written = unstructured(text, "Subject")
    lines = write_header("Subject", written).split("\r\n")
    assert all(len(line) <= 76 for line in lines if "x" not in line)
    assert all(line.startswith(" ") for line in lines[1:-1])
    assert written.replace("\r\n", "") == text


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("Lovelace, Ada", '"Lovelace, Ada"'),
        ('A "B" \\', '"A \\"B\\" \\\\"'),
        ("a  b", '"a  b"'),
        ("Ädä", "=?utf-8?b?w4Rkw6Q=?="),
    ],
)
def test_display_name(name: str, written: str) -> None:
    assert phrase(name) == written
    assert address_list([Address("a@b.org", name)]) == f"{written} <a@b.org>"


def test_each_recipient_has_a_line() -> None:
    addresses = [Address("a@b.org"), Address("c@d.org", "C")]
    assert address_list(addresses) == "a@b.org,\r\n C <c@d.org>"


def test_file_names_of_every_kind() -> None:
    assert parameter("filename", "a.pdf") == 'filename="a.pdf"'
    assert parameter("filename", 'a"\\.pdf') == 'filename="a\\"\\\\.pdf"'
    assert parameter("filename", "ü.pdf") == "filename*0*=utf-8''%C3%BC.pdf"
    long = parameter("filename", "ü" * 255)
    lines = long.split("\r\n ")
    assert len(lines) == 29
    assert all(len(line) < 78 for line in lines)
    assert lines[28] == "filename*28*=%C3%BC%C3%BC%C3%BC"


@pytest.mark.parametrize(
    ("text", "encoding", "content"),
    [
        ("a\nb\rc\r\n", "7bit", b"a\r\nb\r\nc\r\n"),
        (
            "hällo wörld, how are you?\n",
            "quoted-printable",
            b"h=C3=A4llo w=C3=B6rld, how are you?\r\n",
        ),
        ("привет\n", "base64", base64.b64encode("привет\r\n".encode())),
        ("x" * 1000, "quoted-printable", b"=\r\n".join([b"x" * 75] * 13 + [b"x" * 25])),
    ],
)
def test_text_has_the_shortest_encoding_that_every_server_takes(
    text: str, encoding: str, content: bytes
) -> None:
    part = text_part(text, "plain")
    assert f"Content-Transfer-Encoding: {encoding}\r\n" in part.headers
    assert part.content == content


def test_file_is_base64_in_lines() -> None:
    content = base64.b64encode(bytes(100)).decode()
    document = {"filename": "a", "content": content, "type": "message/rfc822", "content_id": "c"}
    part = file_part(Attachment.model_validate(document))
    assert part.headers == (
        "Content-Type: application/octet-stream\r\n"
        "Content-Transfer-Encoding: base64\r\n"
        'Content-Disposition: attachment;\r\n filename="a"\r\n'
        "Content-ID: <c>\r\n"
    )
    assert max(map(len, part.content.split(b"\r\n"))) == 76
    assert base64.b64decode(part.content) == bytes(100)


def test_boundary_is_in_no_part_and_the_same_again() -> None:
    parts = [text_part("a", "plain"), text_part("b", "html")]
    joined = multipart("alternative", parts)
    assert joined == multipart("alternative", parts)
    boundary = joined.headers.split('"')[1]
    assert joined.content.count(b"--" + boundary.encode()) == 3
    assert joined.content.endswith(b"--" + boundary.encode() + b"--\r\n")
    assert multipart("mixed", parts[:1]) is parts[0]


def test_part_that_holds_its_own_boundary_gets_another(monkeypatch: pytest.MonkeyPatch) -> None:
    class FixedDigest:
        def __init__(self) -> None:
            self.updates = 0

        def update(self, _: bytes) -> None:
            self.updates += 1

        def hexdigest(self) -> str:
            return "ab" if self.updates == 2 else "cd"

    monkeypatch.setattr("hashlib.blake2b", lambda *_, **__: FixedDigest())
    joined = multipart("mixed", [Part("", b"--=_ab\r\n"), Part("", b"")])
    assert 'boundary="=_cd"' in joined.headers
