"""Folding drafts into episodes: nothing is lost, however a batch is cut."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import AlertDraft, Entity
from core.types import Severity
from incidents.episodes import Episode, Habits, Item, fold

T0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HABITS = Habits(timedelta(hours=1))

STEPS = st.lists(
    st.tuples(
        st.integers(0, 90), st.sampled_from(["firing", "firing", "acknowledged", "resolved"]),
        st.sampled_from(list(Severity)), st.sampled_from(["a", "b"]),
    ),
    min_size=1, max_size=30,
)  # fmt: skip


def items(steps: list) -> list[Item]:
    at, made = T0, []
    for place, (minutes, status, severity, host) in enumerate(steps):
        at += timedelta(minutes=minutes)
        draft = AlertDraft(
            title="t",
            severity=severity,
            fingerprint=(("a", "1"),),
            status=status,
            entities=(Entity("host", host, "target"),),
        )
        made.append(Item(place, draft, None, at))
    return made


def told(episodes: list[Episode]) -> list[tuple]:
    return [(e.count, e.severity, e.ended_by, e.ended_at, sorted(e.entities), e.last_seen) for e in episodes]


@given(STEPS, st.integers(0, 30))
def test_a_batch_cut_in_two_gives_the_same_episodes(steps: list, cut: int) -> None:
    whole = fold("1:x", None, None, items(steps), HABITS)
    first, second = items(steps)[:cut], items(steps)[cut:]
    halves: dict[UUID, Episode] = {}
    for part in (first, second):
        known = list(halves.values())
        for episode in known:
            episode.stored = True
        current = next((e for e in known if e.open), None)
        ended = [e for e in known if not e.open]
        for episode in fold("1:x", current, ended[-1] if ended else None, part, HABITS):
            halves[episode.id] = episode
    assert told(list(halves.values())) == told(whole)


@given(STEPS)
def test_every_firing_is_counted_once_and_one_episode_at_most_is_open(steps: list) -> None:
    episodes = fold("1:x", None, None, items(steps), HABITS)
    assert sum(e.count for e in episodes) == sum(status != "resolved" for _, status, _, _ in steps)
    assert sum(e.open for e in episodes) <= 1
    assert sorted(item.place for e in episodes for item in e.items) == list(range(len(steps)))
    assert all(item.outcome for e in episodes for item in e.items)
    for episode in episodes:
        assert not episode.count or episode.decide  # the rules saw each of them
