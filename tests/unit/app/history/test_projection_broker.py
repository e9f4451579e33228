"""The Faust apps log in as our own connection does."""

from yarl import URL

from app.bus.connection import BusSettings
from app.history.projection.broker import broker_of
from app.history.projection.worker import WorkerSettings, make_app
from app.history.transport.connection import Connection, login_of


def options_of(settings: BusSettings) -> tuple[list[str], dict[str, object]]:
    broker = broker_of(settings, 7)
    urls = [URL(url) for url in broker.urls.split(";")]
    login = login_of(urls, broker.credentials, None)
    return Connection(urls, login, "x")._servers, login.options()


def test_user_and_password_are_those_of_the_settings_or_of_the_url() -> None:
    servers, options = options_of(BusSettings("nats://a:1,nats://b:2", "me", "hunter2"))
    assert servers == ["nats://a:1", "nats://b:2"]
    assert options == {"user": "me", "password": "hunter2"}
    _, options = options_of(BusSettings("nats://you:secret@a:1"))
    assert options == {"user": "you", "password": "secret"}


def test_a_signed_login_and_websockets_are_handed_on() -> None:
    servers, options = options_of(BusSettings("wss://a:443", credentials="-----BEGIN NATS USER"))
    assert servers == ["wss://a:443"]
    assert options == {"user_credentials": "-----BEGIN NATS USER"}


def test_no_secret_is_shown() -> None:
    settings = BusSettings("nats://a:1", "me", "hunter2", credentials="hunter3")
    app = make_app(WorkerSettings("dev", settings))
    broker = broker_of(settings, 7)
    assert "hunter" not in f"{broker}{app.conf.broker}{app.conf.broker_credentials}{app!r}"
