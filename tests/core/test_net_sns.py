"""Only Amazon's own hosts are asked for a certificate."""

import pytest
import respx

from core.net import Egress, NetFailed, NetRefused
from core.net.sns import certificate, confirm, is_amazon

PEM = b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("url", [
    "http://sns.eu-west-1.amazonaws.com/a.pem", "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem",
    "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem", "https://user@sns.eu-west-1.amazonaws.com/a.pem",
    "https://sns.eu-west-1.amazonaws.com:8443/a.pem", "https://sns.eu-west-1.amazonaws.com\\@evil.example/a.pem",
    "https://s3.amazonaws.com/sns.pem", "https://[::1", "https://sns.eu-west-1.amazonaws.com/a.txt",
])  # fmt: skip
def test_other_places_are_refused(url: str) -> None:
    with pytest.raises(NetRefused):
        certificate(url, egress=Egress())
    if not url.endswith(".txt"):
        assert not is_amazon(url)


@respx.mock
def test_a_certificate_is_fetched_once() -> None:
    url = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-abc.pem"
    route = respx.get(url).respond(content=PEM)
    assert certificate(url, egress=Egress()) == certificate(url, egress=Egress()) == PEM
    assert route.call_count == 1
    other = respx.get("https://sns.us-east-1.amazonaws.com/x.pem").respond(text="nonsense")
    with pytest.raises(NetFailed, match="no certificate"):
        certificate("https://sns.us-east-1.amazonaws.com/x.pem", egress=Egress())
    assert other.called
    confirmed = respx.get(
        "https://sns.cn-north-1.amazonaws.com.cn/?Action=ConfirmSubscription&Token=t"
    ).respond(200)
    confirm("https://sns.cn-north-1.amazonaws.com.cn/?Action=ConfirmSubscription&Token=t", egress=Egress())
    assert confirmed.called
