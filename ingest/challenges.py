"""Answers a product that asks, before it sends anything, whether an address is ours."""

from collections.abc import Mapping

from connectors import registry
from core.errors import Unauthenticated
from ingest.known import KnownSource
from ingest.verify import MENDING, ProofKind, bearer_token, secret_matches

_MOST = 1_000  # characters; Okta's challenge has 40


def answer(source: KnownSource, headers: Mapping[str, str], token: str | None) -> dict[str, str] | None:
    """The JSON that the source's product wants to read back, or None when it asks nothing here.

    Okta calls like this once for an event hook, with the secret as in every delivery, and waits three seconds
    (developer.okta.com/docs/concepts/event-hooks, "One-time verification request"). `headers` have names in lower case;
    `token` is the one in the address. Raises Unauthenticated: strangers learn nothing by asking.
    """
    asked = registry.get(source.connector).challenge
    value = headers.get(asked.header) if asked is not None else None
    if asked is None or not value or source.proof not in (ProofKind.BEARER, ProofKind.URL_TOKEN):
        return None
    presented = token if source.proof is ProofKind.URL_TOKEN else None
    presented = presented or bearer_token(headers.get("authorization"))
    if presented is None or not secret_matches(presented, source.digests):
        raise Unauthenticated(
            f"The challenge is answered to who has the source's secret. {MENDING[source.proof]}"
        )
    return {asked.member: value[:_MOST]}
