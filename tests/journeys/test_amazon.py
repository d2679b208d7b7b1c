"""Amazon's journey: a topic asks to be confirmed, the operator does so on the page, then its notifications are taken."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from accounts import ADMIN, PASSWORD
from browsing import Browser
from fake_amazon import HOST, SIGNING, FakeAmazon
from free_ports import wait_until
from ringing import count
from running_tocsin import Tocsin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
TOPIC = "arn:aws:sns:eu-west-1:123456789012:guardduty"
FINDING = Path(__file__).parents[2] / "connectors" / "samples" / "aws_guardduty" / "crypto-mining.json"


@pytest.fixture
def amazon(tmp_path: Path) -> Iterator[FakeAmazon]:
    """Amazon's SNS, as far as a subscriber sees it."""
    made = FakeAmazon(tmp_path)
    yield made
    made.stop()


def test_a_topic_is_confirmed_by_a_person_and_then_heard(
    tocsin: Callable[..., Tocsin], amazon: FakeAmazon
) -> None:
    running = tocsin(**amazon.env())
    running.run("init", "--email", ADMIN, "--password", PASSWORD)
    running.start()
    assert running.json("source", "add", "cloud", "--no-learning", "--connector", "aws_guardduty")["token"]
    operator = Browser(running)
    operator.sign_in(ADMIN, PASSWORD)

    def post(message: dict[str, str]) -> tuple[int, str]:
        with running.client() as client:
            sent = client.post("/ingest/cloud", content=amazon.body(message), headers=amazon.headers(message))
        return sent.status_code, sent.json().get("detail", "")

    finding = FINDING.read_text(encoding="utf-8")
    notification = amazon.message("Notification", TOPIC, finding, serial=2)
    status, why = post(notification)
    assert (status, "not confirmed" in why) == (403, True), why
    wish = amazon.message("SubscriptionConfirmation", TOPIC, "You have chosen to subscribe")
    assert post({**wish, "Token": "another"}) == (
        401, "Amazon's signature does not hold: the signature does not match the message.",
    )  # fmt: skip
    forged = {**wish, "SigningCertURL": SIGNING.replace(HOST, "sns.eu-west-1.amazonaws.com.evil.example")}
    assert post(forged)[0] == 401
    assert post(wish)[0] == 202
    wait_until(lambda: count(running, "SELECT count(*) FROM source_subscriptions") == 1, what="the wish")
    assert amazon.calls == [
        SIGNING.removeprefix(f"https://{HOST}")
    ]  # fetched once; nothing was confirmed unasked

    page = operator.open("/settings/sources/cloud")
    assert TOPIC in page.text
    assert "not signed by Amazon" not in page.text
    confirmed = operator.submit(page, "/confirm$")
    assert "may send, since" in confirmed.text
    asked = amazon.calls[-1]
    assert asked.startswith("/?Action=ConfirmSubscription")
    assert TOPIC in asked

    assert post(notification)[0] == 202
    wait_until(lambda: count(running, "SELECT count(*) FROM alerts") == 1, what="the finding")
    title = json.loads(finding)["title"]
    assert count(running, "SELECT count(*) FROM alerts WHERE title = :title", title=title) == 1
    stranger = amazon.message(
        "Notification", TOPIC.replace("123456789012", "999999999999"), finding, serial=3
    )
    assert post(stranger)[0] == 403
