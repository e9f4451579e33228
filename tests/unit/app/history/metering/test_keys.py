"""Windows in the changelog: the transport and the readers mean the same subjects."""

from app.control import names
from app.control.limits import StreamLimits
from app.control.streams import usage_spec
from app.history.metering.table import WindowKeyCodec
from app.history.metering.windows import WindowPlace
from app.history.transport.names import key_of, keyed_subject, stream_name, subjects_of

PLACE = WindowPlace("acme", 1_760_000_400_000, "auth/login")


def test_a_window_is_stored_where_it_is_read_and_erased() -> None:
    codec = WindowKeyCodec()
    start = PLACE.start_ms // 1000
    key = codec.dumps((("acme", "auth/login"), (float(start), start + 3599.9)))
    subject = keyed_subject(names.usage_topic("dev"), key)
    assert subject == names.usage_windows("dev", PLACE.as_key())
    assert subject.startswith(names.usage_windows("dev", "acme.20251009."))
    assert key_of(subject) == key
    assert codec.loads(key) == (("acme", "auth/login"), (float(start), start + 3599.9))


def test_the_stream_is_the_transports() -> None:
    spec = usage_spec("dev", StreamLimits())
    assert spec.name == stream_name(names.usage_topic("dev"))
    assert spec.subjects == (subjects_of(names.usage_topic("dev")),)
    assert spec.messages_per_subject_max == 1
