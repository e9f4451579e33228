"""The arguments of `send` and `send_template`."""

import base64
from typing import Any

import pytest
from pydantic import ValidationError

from app.providers.email.address import Address
from app.providers.email.arguments import (
    CATEGORIES_MAX,
    RECIPIENTS_MAX,
    SendArguments,
    SendTemplateArguments,
    unique_recipients,
)
from app.providers.email.attachment import ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX, Attachment

MAIL = {"to": "ada@example.org", "subject": "Hello", "content": "text"}
FILE = {"filename": "a.txt", "content": "YWJj"}


def send(**arguments: Any) -> SendArguments:
    return SendArguments.model_validate({**MAIL, **arguments})


def problems(model: type[Any], document: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(document)
    errors = caught.value.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in errors)


def test_one_address_and_a_list_mean_the_same() -> None:
    assert send(to="ada@example.org").to == send(to=["ada@example.org"]).to
    assert send(to={"email": "a@b.org", "name": "A"}).to == (Address("a@b.org", "A"),)


def test_address_that_comes_again_counts_once_in_its_first_place() -> None:
    mail = send(
        to=["a@x.org", "A@X.org", "b@x.org"], cc=["b@x.org", "c@x.org"], bcc=["C@x.org", "d@x.org"]
    )
    to, cc, bcc = unique_recipients(mail)
    assert [address.email for address in to] == ["a@x.org", "b@x.org"]
    assert [address.email for address in cc] == ["c@x.org"]
    assert [address.email for address in bcc] == ["d@x.org"]


def test_recipients_are_bounded_copies_included() -> None:
    many = [f"u{number}@example.org" for number in range(RECIPIENTS_MAX)]
    assert len(send(to=many).to) == RECIPIENTS_MAX
    assert "at most 1000 recipients" in problems(SendArguments, {**MAIL, "to": many, "cc": "c@d.e"})
    assert "more than 1000 addresses" in problems(SendArguments, {**MAIL, "to": [*many, "c@d.e"]})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"to": []}, "to: Tuple should have at least 1 item"),
        ({"to": ["a@b.org", "nobody"]}, "to: Value error, address 2 is no e-mail address"),
        ({"cc": "nobody"}, "cc: Value error, is no e-mail address"),
        ({"reply_to": "a@b.org, c@d.org"}, "reply_to: Value error, is no e-mail address"),
        ({"subject": "a\r\nBcc: c@d.org"}, "subject: Value error, holds a line break"),
        ({"subject": "a\u2029b"}, "subject: Value error, holds a line break"),
        ({"subject": "a" * 989}, "subject: Value error, is longer than 988"),
        ({"subject": None}, "subject: Input should be a valid string"),
        ({"content": None}, "a mail needs 'content' or 'html'"),
        ({"content": ""}, "a mail needs 'content' or 'html'"),
        ({"content": "a\x00b"}, "content: Value error, holds a NUL"),
        ({"content": "a\ud800b"}, "content: Value error, must be valid Unicode"),
        ({"html": "x" * (2 * 1024 * 1024 + 1)}, "html: Value error, is longer than"),
        ({"from": "a@b.org"}, "from: Extra inputs are not permitted"),
        ({"categories": ["a\nb"]}, "categories: Value error, holds a line break"),
        ({"categories": [" "]}, "categories: Value error, has an empty category"),
        ({"categories": [1]}, "categories: Value error, must be a list of texts"),
        ({"categories": list("abcdefghijk")}, f"more than {CATEGORIES_MAX} categories"),
        ({"headers": {"X-A": "a\nb"}}, "headers: Value error, holds a line break"),
        ({"headers": {"X A": "a"}}, "headers: Value error, has a name that is no header's name"),
        ({"headers": {"X:A": "a"}}, "headers: Value error, has a name that is no header's name"),
        ({"headers": {"BCC": "c@d.org"}}, "must not set BCC"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "headers: Value error, has a header twice"),
        ({"headers": {f"X-{number}": "" for number in range(51)}}, "more than 50 headers"),
        ({"custom": {"a": "b" * 10_000}}, "custom: Value error, is longer than 10000 bytes"),
        ({"custom": {"a": 1}}, "custom.a: Input should be a valid string"),
        ({"attachments": [FILE] * (ATTACHMENTS_MAX + 1)}, "more than 50 attachments"),
        ({"attachments": [{**FILE, "filename": "a/b"}]}, "filename: Value error, must be a file"),
        ({"attachments": [{**FILE, "filename": "..\\b"}]}, "filename: Value error, must be a file"),
        ({"attachments": [{**FILE, "filename": "a\nb"}]}, "filename: Value error, holds a line"),
        ({"attachments": [{**FILE, "filename": " "}]}, "filename: Value error, must be a file"),
        ({"attachments": [{**FILE, "content": "YWJ"}]}, "content: Value error, must be base64"),
        ({"attachments": [{**FILE, "content": "YW-_"}]}, "content: Value error, must be base64"),
        ({"attachments": [{**FILE, "content": "YQ==YQ=="}]}, "content: Value error, must be base"),
        ({"attachments": [{**FILE, "content": "ä"}]}, "content: Value error, must be base64"),
        ({"attachments": [{**FILE, "type": "text/plain; x=y"}]}, "type: Value error, must be a"),
        ({"attachments": [{**FILE, "type": "text"}]}, "type: Value error, must be a media type"),
        ({"attachments": [{**FILE, "content_id": "<a>"}]}, "content_id: Value error, must be up"),
        ({"attachments": [{**FILE, "disposition": "form-data"}]}, "disposition: Input should be"),
    ],
)
def test_wrong_argument_is_refused_by_name(arguments: dict[str, Any], words: str) -> None:
    assert words in problems(SendArguments, {**MAIL, **arguments})


@pytest.mark.parametrize(
    "template_id", ["", "../secret", "a/../b", "/a", "a//b", "a b", "a\n", ".hidden", "a" * 201]
)
def test_template_id_cannot_leave_the_templates(template_id: str) -> None:
    document = {"to": "a@b.org", "template_id": template_id}
    assert "template_id" in problems(SendTemplateArguments, document)


def test_template_needs_no_subject_and_no_data() -> None:
    mail = SendTemplateArguments.model_validate({"to": "a@b.org", "template_id": "mails/d-1.2_x"})
    assert mail.subject is None
    assert mail.dynamic_data == {}


def test_attachment_is_one_line_of_base64_and_knows_its_size() -> None:
    content = bytes(range(100))
    wrapped = base64.encodebytes(content).decode()
    found = Attachment.model_validate({"filename": "a", "content": wrapped})
    assert found.content == base64.b64encode(content).decode()
    assert found.size == len(content)
    assert found.decode() == content
    assert found.type == "application/octet-stream"


def test_attachments_are_bounded_together() -> None:
    half = base64.b64encode(bytes(ATTACHMENT_BYTES_MAX // 2 + 1)).decode()
    document = {**MAIL, "attachments": [{"filename": "a", "content": half}] * 2}
    assert "bytes in all" in problems(SendArguments, document)


def test_categories_are_counted_once_each() -> None:
    assert send(categories=["a", "b", "a"]).categories == ("a", "b")
    assert send(categories="a").categories == ("a",)
