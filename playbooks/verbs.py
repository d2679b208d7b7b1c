"""The neutral verbs of response: known to every playbook, whether or not a product here can do them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NeutralVerb:
    """A verb, how much it changes, its inputs (required or not) and what a person does when no product can do it."""

    title: str
    effect: str
    inputs: dict[str, bool]
    by_hand: str


VERBS: dict[str, NeutralVerb] = {
    "edr.get_host": NeutralVerb(
        "Look up a host", "read", {"name": True},
        "Look up {{ inputs.name }} in your inventory: whose is it, what does it do, who is signed in?",
    ),
    "edr.hunt": NeutralVerb(
        "Look for a file on all hosts", "read", {"hash": True},
        "Search your endpoints for the file {{ inputs.hash }} and list every host that has it.",
    ),
    "edr.isolate_host": NeutralVerb(
        "Isolate a host", "disruptive", {"host": True},
        "Take {{ inputs.host }} off the network: isolate it in the endpoint console, or disable its switch port. "
        "Do not switch it off.",
    ),
    "edr.release_host": NeutralVerb(
        "Release a host from isolation", "disruptive", {"host": True},
        "Bring {{ inputs.host }} back to the network in the endpoint console, or enable its switch port.",
    ),
    "edr.block_hash": NeutralVerb(
        "Block a file on all hosts", "disruptive", {"hash": True},
        "Block the file {{ inputs.hash }} in the endpoint console, for every host.",
    ),
    "identity.get_user": NeutralVerb(
        "Look up a user", "read", {"user": True},
        "Look up {{ inputs.user }} in the directory: who is it, which role, when was the last sign-in?",
    ),
    "identity.list_sign_ins": NeutralVerb(
        "List a user's sign-ins", "read", {"user": True},
        "List the sign-ins of {{ inputs.user }} of the last 7 days: when, from where, with which device.",
    ),
    "identity.revoke_sessions": NeutralVerb(
        "End all sessions of a user", "disruptive", {"user": True},
        "End every session of {{ inputs.user }} (identity provider, mail, VPN, chat) and revoke refresh tokens.",
    ),
    "identity.reset_password": NeutralVerb(
        "Make a user choose a new password", "disruptive", {"user": True},
        "Make {{ inputs.user }} choose a new password; agree on it by phone, not by mail.",
    ),
    "identity.disable_user": NeutralVerb(
        "Disable a user", "disruptive", {"user": True}, "Disable the account {{ inputs.user }} in your directory.",
    ),
    "identity.enable_user": NeutralVerb(
        "Enable a user", "disruptive", {"user": True}, "Enable the account {{ inputs.user }} in your directory.",
    ),
    "network.block_ip": NeutralVerb(
        "Block an address", "disruptive", {"ip": True},
        "Block {{ inputs.ip }} at the outer firewall and write down when the block ends.",
    ),
    "network.block_domain": NeutralVerb(
        "Block a domain", "disruptive", {"domain": True},
        "Block {{ inputs.domain }} in DNS or at the proxy and write down when the block ends.",
    ),
    "network.block_url": NeutralVerb(
        "Block a URL", "disruptive", {"url": True},
        "Block {{ inputs.url }} at the proxy and write down when the block ends.",
    ),
    "firewall.block_ip": NeutralVerb(
        "Block an address on a firewall", "disruptive", {"ip": True},
        "Block {{ inputs.ip }} on the firewall and write down when the block ends.",
    ),
    "intel.ip": NeutralVerb(
        "Look up an address", "read", {"ip": True},
        "Look up {{ inputs.ip }}: whose network is it, where, is it known for attacks?",
    ),
    "intel.domain": NeutralVerb(
        "Look up a domain", "read", {"domain": True}, "Look up {{ inputs.domain }}: how old is it, is it known as bad?",
    ),
    "intel.file": NeutralVerb(
        "Look up a file by its hash", "read", {"hash": True},
        "Look up {{ inputs.hash }}: is the file known as bad? Do not upload the file.",
    ),
    "secret.revoke": NeutralVerb(
        "Revoke a secret", "disruptive", {"secret": True},
        "Revoke the secret ({{ inputs.secret }}) on the page of the system it belongs to.",
    ),
    "service.restart": NeutralVerb(
        "Restart a service", "disruptive", {"service": True}, "Restart {{ inputs.service }}.",
    ),
}  # fmt: skip
