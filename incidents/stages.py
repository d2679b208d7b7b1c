"""The fixed words of an incident's life: stages, kinds, confirmations, dispositions, markings."""

from enum import StrEnum


class Stage(StrEnum):
    """Where the work stands, in order; an incident may go back to any earlier stage."""

    new = "new"
    triage = "triage"
    investigate = "investigate"
    contain = "contain"
    eradicate = "eradicate"
    recover = "recover"
    review = "review"
    closed = "closed"

    @property
    def rank(self) -> int:
        """0 (new) to 7 (closed)."""
        return list(Stage).index(self)


class Kind(StrEnum):
    """What sort of thing the incident is."""

    incident = "incident"
    request = "request"
    report = "report"
    vulnerability = "vulnerability"


class Confirmation(StrEnum):
    """Whether what was observed is a security incident (NIST SP 800-61r3: declared by criteria)."""

    unconfirmed = "unconfirmed"
    suspected = "suspected"
    declared = "declared"
    not_an_incident = "not_an_incident"


class Disposition(StrEnum):
    """What it turned out to be, said when an incident is closed."""

    true_positive = "true_positive"
    authorised_test = "authorised_test"
    policy_violation = "policy_violation"
    operational_error = "operational_error"
    benign_expected = "benign_expected"
    false_positive = "false_positive"
    duplicate = "duplicate"
    insufficient_information = "insufficient_information"


MEANING = {
    Disposition.true_positive: "An attacker or malware did this",
    Disposition.authorised_test: "A test that somebody allowed (penetration test, red team, drill)",
    Disposition.policy_violation: "Our own people broke a rule, without an attacker",
    Disposition.operational_error: "A fault or a mistake in running things",
    Disposition.benign_expected: "It happened, and it is normal here",
    Disposition.false_positive: "It did not happen; the rule or its data is wrong",
    Disposition.duplicate: "Worked on in another incident",
    Disposition.insufficient_information: "It cannot be told with what we have",
}
"""One sentence for each disposition, shown beside it when closing."""

NOISE = frozenset({Disposition.benign_expected, Disposition.false_positive, Disposition.duplicate})
"""Dispositions after which a repeat of the alert goes through the rules like a new one, instead of always opening."""


NO_ATTACKER = frozenset({
    Disposition.policy_violation, Disposition.operational_error, Disposition.benign_expected, Disposition.false_positive,
})  # fmt: skip
"""Dispositions that say: nobody attacked."""


class WaitingOn(StrEnum):
    """Who has the next move when it is not us; clocks pause meanwhile."""

    reporter = "reporter"
    team = "team"
    vendor = "vendor"
    legal = "legal"
    authority = "authority"


class Priority(StrEnum):
    """The order of the queue, apart from severity (P1 first)."""

    p1 = "p1"
    p2 = "p2"
    p3 = "p3"
    p4 = "p4"


class Tlp(StrEnum):
    """Traffic Light Protocol 2.0 (FIRST): who may be told."""

    clear = "clear"
    green = "green"
    amber = "amber"
    amber_strict = "amber+strict"
    red = "red"


class Pap(StrEnum):
    """Permissible Actions Protocol: what may be done with the information."""

    clear = "clear"
    green = "green"
    amber = "amber"
    red = "red"


TRUSTS = ("low", "normal", "high")
"""How well a source proves where its alerts come from, least first."""


def least_trust(one: str, other: str) -> str:
    """The lower of two trust levels: an incident is trusted as little as its least trusted alert."""
    return min(one, other, key=TRUSTS.index)
