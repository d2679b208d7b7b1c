"""Every channel file declares one whole channel."""

import pytest

from core.errors import NotFound
from notify import registry


def test_every_channel_is_found_and_complete() -> None:
    found = registry.all_channels()
    assert set(found) == {"email", "inbox", "ntfy", "slack", "twilio_sms", "twilio_voice", "webhook", "webpush"}
    for name, channel in found.items():
        assert channel.name == name
        assert channel.title
        assert channel.address
        assert channel.docs.startswith("https://") or not channel.reaches_out
        assert isinstance(channel.from_text("x@example.org"), dict)


def test_an_unknown_channel_names_those_there_are() -> None:
    with pytest.raises(NotFound, match="email, inbox"):
        registry.get("pigeon")
