"""Whether somebody outside keeps the journal's seal, so that even an administrator cannot rewrite it unseen."""

from datetime import timedelta

from core import witness
from reports.doctor import Finding, Light, Look, State

PATIENCE = timedelta(days=1)  # beyond what was promised


def look(at: Look) -> Finding:
    """When each witness last got a checkpoint."""
    known = witness.witnesses(at.session)
    if not at.settings.witness:
        return Finding(
            State.yellow, "Nobody outside keeps the seal: the record is only as honest as this machine.",
            "Name somebody whose mailbox this machine's administrators cannot alter, such as your auditor.",
            href="/settings/installation#witness", word="Name a witness",
        )  # fmt: skip
    if not known:
        return Finding(
            State.yellow, "No witness has been asked yet.", "Wait a minute; if it stays so, see whether a worker runs."
        )
    for one in known:
        late = one.at is not None and at.now - one.at > at.settings.witness_every + PATIENCE
        if one.error and (one.at is None or late):
            return Finding(
                State.red, f"{one.name} does not get the seal: {one.error[:200]}", "Mend the way to it, or name another witness.",
                href="/settings/installation#witness", word="Witness",
            )  # fmt: skip
    latest = max((one.at for one in known if one.at is not None), default=None)
    names = ", ".join(one.name for one in known)
    if latest is None:
        return Finding(
            State.yellow,
            f"{names} has not got a checkpoint yet.",
            "Wait a minute; the first goes out by itself.",
        )
    return Finding(State.green, f"{names} keeps the seal, last of {latest:%Y-%m-%d %H:%M} UTC.")


light = Light("witness", "Witness for the seal", 40, look)
