"""The facts that the front door writes into the journal."""

from core.journal import declare

SOURCE_CREATED = declare("source.created", "added the source")
SOURCE_ROTATED = declare("source.rotated", "gave the source a new secret")
SOURCE_CHANGED = declare("source.changed", "changed the source")
SOURCE_LEARNED = declare("source.learned", "ended the learning of the source")
SOURCE_DISABLED = declare("source.disabled", "disabled the source")
SUBSCRIPTION_CONFIRMED = declare("source.subscription_confirmed", "confirmed the topic's subscription")
DELIVERY_QUARANTINED = declare("delivery.quarantined", "could not read a delivery and set it aside")
DELIVERY_REPLAYED = declare("delivery.replayed", "had a delivery read again")
