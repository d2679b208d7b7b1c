"""A product that asks whether an address is ours is answered when it has the source's secret, and only then."""

import pytest

CHALLENGE = {"X-Okta-Verification-Challenge": "Me_rShK8JHsTnbyYrWXCEoMGbM"}
ANSWER = {"verification": CHALLENGE["X-Okta-Verification-Challenge"]}


def test_oktas_challenge_is_repeated_to_who_has_the_secret(door, sender):
    okta = sender("okta", "okta")
    answer = door.request("GET", okta.path, headers={**okta.bearer, **CHALLENGE})
    assert (answer.status_code, answer.json()) == (200, ANSWER)
    assert answer.headers["content-type"] == "application/json"


def test_the_secret_may_stand_alone_as_okta_sends_it(door, sender):
    okta = sender("okta", "okta")
    alone = {"Authorization": okta.secret}
    assert door.request("GET", okta.path, headers={**alone, **CHALLENGE}).json() == ANSWER
    assert door.post(okta.path, json={"data": {"events": []}}, headers=alone).status_code == 202


def test_the_secret_may_be_part_of_the_address(door, sender):
    okta = sender("okta", "okta", proof="url_token")
    assert door.request("GET", f"{okta.path}/{okta.secret}", headers=CHALLENGE).json() == ANSWER
    assert door.request("GET", f"{okta.path}/{'x' * 43}", headers=CHALLENGE).status_code == 401


@pytest.mark.parametrize("presented", [{}, {"Authorization": "Bearer guess"}, {"Authorization": ""}])
def test_strangers_are_answered_nothing(door, sender, presented):
    okta = sender("okta", "okta")
    answer = door.request("GET", okta.path, headers={**presented, **CHALLENGE})
    assert answer.status_code == 401
    assert "verification" not in answer.json()


def test_where_nothing_asks_deliveries_are_posted(door, sender):
    okta, other = sender("okta", "okta"), sender("other")
    for path, headers in ((okta.path, okta.bearer), (other.path, {**other.bearer, **CHALLENGE})):
        answer = door.request("GET", path, headers=headers)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert door.request("GET", "/ingest/nobody", headers=CHALLENGE).status_code == 404
