"""Finds the channels by walking their folder."""

from functools import cache

from core.errors import NotFound
from core.plugins import discover
from notify.contract import Channel


@cache
def all_channels() -> dict[str, Channel]:
    """Every channel by name."""
    return {channel.name: channel for channel in discover("notify.channels", "channel").values()}


def lane(channel: str, shown: str) -> str:
    """The far end that a notification by this channel to this address waits for (at most 120 characters)."""
    return f"{channel} {shown}"[:120] if get(channel).many_ends else channel


def get(name: str) -> Channel:
    """The channel called `name`; raises NotFound naming those there are."""
    try:
        return all_channels()[name]
    except KeyError:
        known = ", ".join(all_channels())
        raise NotFound(f'There is no channel "{name}". The channels are: {known}.') from None
