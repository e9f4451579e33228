"""Mails from the bundle's own templates."""

import pytest

from actors.errors import PermanentError
from app.providers.email_smtp.templates import LocalTemplates

FILES = {
    "welcome.hbs": "Dear {{name}}{{> mails/sign}}",
    "welcome.html.hbs": "<p>{{name}} {{{name}}}</p>{{> templates/mails/sign.hbs}}",
    "mails/sign.hbs": " - {{shop}}",
    "mails/only.html.hbs": "<i>{{items.[0]}}</i>",
    "broken.hbs": "{{#if}}",
    "endless.hbs": "{{#each items}}{{#each @root.items}}{{#each @root.items}}x{{/each}}{{/each}}{{/each}}",
}
TEMPLATES = LocalTemplates(FILES)


def test_html_is_escaped_and_text_is_not() -> None:
    data = {"name": "<Ada & co>", "shop": "us"}
    assert TEMPLATES.render("welcome", data) == (
        "Dear <Ada & co> - us",
        "<p>&lt;Ada &amp; co&gt; <Ada & co></p> - us",
    )


def test_one_file_will_do() -> None:
    assert TEMPLATES.render("mails/only", {"items": ["a"]}) == (None, "<i>a</i>")
    assert TEMPLATES.render("mails/sign", {}) == (" - ", None)


def test_names_may_have_their_folder() -> None:
    templates = LocalTemplates({f"templates/{name}": text for name, text in FILES.items()})
    assert templates.render("mails/only", {"items": ["a"]}) == (None, "<i>a</i>")


def test_unknown_template_is_permanent_and_named() -> None:
    with pytest.raises(PermanentError, match=r"templates/nope\.hbs") as caught:
        TEMPLATES.render("nope", {})
    assert caught.value.reason == "email.unknown_template"


def test_broken_template_is_permanent() -> None:
    with pytest.raises(PermanentError) as caught:
        TEMPLATES.render("broken", {})
    assert caught.value.reason == "template.invalid"
    assert "templates/broken.hbs" in str(caught.value)


def test_template_past_its_budget_is_permanent() -> None:
    with pytest.raises(PermanentError) as caught:
        TEMPLATES.render("endless", {"items": list(range(1000))})
    assert caught.value.reason.startswith("template.limit")
