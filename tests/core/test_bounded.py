"""What is kept in memory between requests has a measure, whatever others send."""

import gc
import time

from core.expressions import functions
from core.net import http
from core.net.auth import tokens
from core.net.egress import Egress
from core.net.tls import Tls
from ingest import envelopes


def test_tokens_of_changed_credentials_go() -> None:
    tokens._tokens.clear()
    try:
        now = time.monotonic()
        for n in range(tokens.MOST_KEPT):
            tokens._keep(f"{n:08x}", "ended" if n % 2 else "lives", now - 1 if n % 2 else now + 60)
        tokens._keep("one more", "lives", now + 60)
        assert {value for value, _ in tokens._tokens.values()} == {"lives"}, "those that have ended go first"
        for n in range(2 * tokens.MOST_KEPT):
            tokens._keep(f"{n:08x}", "new", now + 60)
        assert len(tokens._tokens) == tokens.MOST_KEPT
        assert {value for value, _ in tokens._tokens.values()} == {"new"}, "then the oldest"
    finally:
        tokens._tokens.clear()


def test_connections_that_nobody_uses_any_more_are_not_held_for_the_end() -> None:
    for before in set(http._made):
        before.close()
    http._transport.cache_clear()
    gc.collect()
    used = set(http._made)  # by whoever came before in this process
    for n in range(300):
        http._transport(Egress(allow=(f"host-{n}.example",)), Tls())
    gc.collect()
    assert len(set(http._made) - used) == 256
    http._transport.cache_clear()
    gc.collect()
    assert not set(http._made) - used


def test_what_strangers_send_is_not_remembered_when_it_is_long() -> None:
    before = envelopes._judged_name.cache_info().currsize
    assert envelopes._name_to_keep(b"X-" + b"a" * 60_000) == "x-" + "a" * 60_000
    assert envelopes._name_to_keep(b"X-Token-" + b"a" * 60_000) is None
    assert envelopes._judged_name.cache_info().currsize == before
    before = functions._read_address.cache_info().currsize
    assert functions._address("1" * 60_000) is None
    assert functions._network("10.0.0.0/8" + " " * 60_000) is None
    assert functions._read_address.cache_info().currsize == before
