"""The key by which push services know this installation: made when first asked for, sealed in the database."""

import json

from sqlalchemy.exc import IntegrityError

from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.journal import Fact, record
from core.secrets import seal
from core.types import Ref
from notify import facts, web_push
from notify.models import ChannelSettings
from notify.permissions import OWN_CONTACTS
from notify.reaching import SETTINGS_PURPOSE

CHANNEL = "webpush"


def public_key(uow: UnitOfWork, actor: Actor) -> str:
    """The public key that browsers subscribe to. Every subscription is bound to it, so it is never changed."""
    permissions.require(actor, OWN_CONTACTS.name)
    row = uow.get(ChannelSettings, CHANNEL)
    if row is None:
        private, public = web_push.new_key()
        sealed = seal(json.dumps({"private_key": private}), SETTINGS_PURPOSE)
        try:
            with uow.begin_nested():
                row = ChannelSettings(channel=CHANNEL, values={"public_key": public}, secrets=sealed)
                uow.add(row)
                uow.flush()
        except IntegrityError:  # another process made it a moment ago
            row = uow.get_one(ChannelSettings, CHANNEL, populate_existing=True)
        else:
            refs = (Ref("setting", f"channel.{CHANNEL}"),)
            record(
                uow, actor, Fact(facts.CHANNEL_CHANGED, refs, {"channel": CHANNEL, "set": ["private_key"]})
            )
    return str(row.values["public_key"])
