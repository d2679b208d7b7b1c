"""The neutral verbs, by name: what playbooks may ask of any product, and of people where there is none."""

from playbooks.verbs import NeutralVerb, Value


def _verb(
    title: str, effect: str, by_hand: str, needs: dict[str, Value] | None = None, **gives: Value
) -> NeutralVerb:
    return NeutralVerb(title, effect, by_hand, needs or {}, gives)


def _text(says: str) -> Value:
    return Value("text", says)


def _list(says: str) -> Value:
    return Value("list", f"{says} (one per line)")


_HOST = {"host": _text("The host")}
_USER = {"user": _text("The account")}
_IP = {"ip": _text("The address")}
_DOMAIN = {"domain": _text("The domain")}
_URL = {"url": _text("The URL")}
_HASH = {"hash": _text("The file's hash")}
_SERVICE = {"service": _text("The service")}
_BAD = Value("number", "How many sources call it bad?")

VERBS: dict[str, NeutralVerb] = {
    # ------------------------------------------------------------------------------------------------ hosts
    "edr.get_host": _verb(
        "Look up a host", "read",
        "Open {{ inputs.name }} in your inventory. Read whose it is, what it does and who is signed in.",
        {"name": _text("The host's name")},
        status=_text("Is it online, and is its agent healthy?"), ip=_text("Its address"),
    ),
    "edr.list_processes": _verb(
        "List what runs on a host", "read",
        "Open {{ inputs.host }} in the endpoint console, tab *Processes*. Write what started the alert's process and what it started.",
        _HOST, processes=_list("Processes nobody can explain"),
    ),
    "edr.hunt": _verb(
        "Look for a file on all hosts", "read",
        "Search your endpoints for the file {{ inputs.hash }}, 30 days back. List every host that has it or has run it.",
        _HASH, hosts=_list("Hosts that have it"),
    ),
    "edr.collect": _verb(
        "Collect a host's traces", "write",
        "Open {{ inputs.host }} in the endpoint console and choose *collect triage package*. Attach the file here; do not open it.",
        _HOST, place=_text("Where are the traces kept?"),
    ),
    "edr.isolate_host": _verb(
        "Isolate a host", "disruptive",
        "Take {{ inputs.host }} off the network: isolate it in the endpoint console, or disable its switch port. Do not switch it off.",
        _HOST,
    ),
    "edr.release_host": _verb(
        "Release a host from isolation", "disruptive",
        "Bring {{ inputs.host }} back to the network in the endpoint console, or enable its switch port.",
        _HOST,
    ),
    "edr.block_hash": _verb(
        "Block a file on all hosts", "disruptive",
        "Block the file {{ inputs.hash }} in the endpoint console, for every host. Write down when the block is to be looked at again.",
        _HASH,
    ),
    "edr.unblock_hash": _verb(
        "Let a file run again", "disruptive", "Remove the block of {{ inputs.hash }} in the endpoint console.", _HASH,
    ),
    # ------------------------------------------------------------------------------------------------ accounts
    "identity.get_user": _verb(
        "Look up a user", "read",
        "Open {{ inputs.user }} in the directory. Read who it is, which rights it has and whether it is enabled.",
        _USER, status=_text("Is the account enabled?"),
    ),
    "identity.list_sign_ins": _verb(
        "List a user's sign-ins", "read",
        "Open the sign-in log of {{ inputs.user }}, 7 days back. Write each sign-in that is unlike the others: when, from where, with what.",
        _USER, sign_ins=_list("Sign-ins that are unlike the others"),
    ),
    "identity.list_factors": _verb(
        "List a user's second factors", "read",
        "Open the security settings of {{ inputs.user }} and list every second factor, the newest first.",
        _USER, factors=_list("Second factors, with the day they were added"),
    ),
    "identity.remove_factor": _verb(
        "Remove a second factor", "disruptive",
        "Remove the second factor {{ inputs.factor }} of {{ inputs.user }} in its security settings. Take a screenshot first.",
        {**_USER, "factor": _text("The second factor")},
    ),
    "identity.list_grants": _verb(
        "List the applications a user has let in", "read",
        "Open the consents of {{ inputs.user }} (enterprise applications, connected apps) and list them, the newest first.",
        _USER, grants=_list("Applications, with what they may do"),
    ),
    "identity.revoke_grant": _verb(
        "Take an application's access away", "disruptive",
        "Remove the consent {{ inputs.grant }} of {{ inputs.user }}. Take a screenshot first.",
        {**_USER, "grant": _text("The consent")},
    ),
    "identity.list_changes": _verb(
        "List what a user has changed", "read",
        "Open the audit log, filter by {{ inputs.user }}, 7 days back. Write new devices, roles, tokens, keys and users.",
        _USER, changes=_list("Changes nobody can explain"),
    ),
    "identity.revoke_sessions": _verb(
        "End all sessions of a user", "disruptive",
        "End every session of {{ inputs.user }} (identity provider, mail, VPN, chat) and revoke refresh tokens and app passwords.",
        _USER,
    ),
    "identity.reset_password": _verb(
        "Make a user choose a new password", "disruptive",
        "Make {{ inputs.user }} choose a new password; agree on it by phone, not by mail.", _USER,
    ),
    "identity.disable_user": _verb(
        "Disable a user", "disruptive", "Disable the account {{ inputs.user }} in your directory.", _USER,
    ),
    "identity.enable_user": _verb(
        "Enable a user", "disruptive",
        "Enable the account {{ inputs.user }} in your directory, after its owner was spoken to and has a new password.", _USER,
    ),
    # ------------------------------------------------------------------------------------------------ mail
    "mail.search": _verb(
        "Find a mail in all mailboxes", "read",
        "Open the message trace of the mail system. Search all mailboxes, 7 days back, for {{ inputs.query }}.",
        {"query": _text("Message-ID, sender or address of a link")},
        recipients=_list("Who got it"),
    ),
    "mail.purge": _verb(
        "Pull a mail from all mailboxes", "disruptive",
        "Delete what the search for {{ inputs.query }} found from every mailbox. Choose *soft delete*: it can be brought back for 30 days.",
        {"query": _text("Message-ID, sender or address of a link")},
    ),
    "mail.restore": _verb(
        "Bring a pulled mail back", "disruptive",
        "Restore what was deleted for {{ inputs.query }} to the mailboxes it came from.",
        {"query": _text("Message-ID, sender or address of a link")},
    ),
    "mail.block_sender": _verb(
        "Block a sender", "disruptive",
        "Block {{ inputs.sender }} at the mail gateway and write down when the block ends.", {"sender": _text("The sender")},
    ),
    "mail.list_rules": _verb(
        "List a mailbox's rules and forwards", "read",
        "Open the mailbox of {{ inputs.user }} as administrator. List its rules and its forwarding addresses.",
        _USER, rules=_list("Rules and forwards"),
    ),
    "mail.remove_rule": _verb(
        "Remove a mailbox rule", "disruptive",
        "Remove the rule {{ inputs.rule }} of the mailbox of {{ inputs.user }}. Take a screenshot first.",
        {**_USER, "rule": _text("The rule")},
    ),
    # ------------------------------------------------------------------------------------------------ network
    "network.block_ip": _verb(
        "Block an address", "disruptive", "Block {{ inputs.ip }} at the outer firewall and write down when the block ends.", _IP,
    ),
    "network.unblock_ip": _verb("Let an address through again", "write", "Remove the block of {{ inputs.ip }}.", _IP),
    "network.block_domain": _verb(
        "Block a domain", "disruptive", "Block {{ inputs.domain }} in DNS or at the proxy and write down when the block ends.", _DOMAIN,
    ),
    "network.unblock_domain": _verb("Let a domain through again", "write", "Remove the block of {{ inputs.domain }}.", _DOMAIN),
    "network.block_url": _verb(
        "Block a URL", "disruptive", "Block {{ inputs.url }} at the proxy and write down when the block ends.", _URL,
    ),
    "network.unblock_url": _verb("Let a URL through again", "write", "Remove the block of {{ inputs.url }}.", _URL),
    "firewall.block_ip": _verb(
        "Block an address on a firewall", "disruptive",
        "Block {{ inputs.ip }} on the firewall and write down when the block ends.", _IP,
    ),
    "proxy.search": _verb(
        "Find who opened an address", "read",
        "Search the proxy and DNS logs, 7 days back, for {{ inputs.value }}. Do not open it yourself.",
        {"value": _text("A domain or an address")}, people=_list("Who opened it"),
    ),
    "waf.block": _verb(
        "Block requests at the web application firewall", "disruptive",
        "Write a rule for {{ inputs.what }}. Let it *count* for 10 minutes; when it counts nobody else, let it block.",
        {"what": _text("Which requests")},
    ),
    # ------------------------------------------------------------------------------------------------ logs and reputation
    "siem.search": _verb(
        "Search the logs", "read",
        "Search the logs of {{ inputs.days | default(7) }} days for {{ inputs.value }}. Write what is unlike the rest, with its time.",
        {"value": _text("What to look for"), "days": Value("number", "How many days back?", required=False)},
        count=Value("number", "How many lines?"), findings=_list("What is unlike the rest"),
    ),
    "intel.ip": _verb(
        "Look up an address", "read", "Look up {{ inputs.ip }}: whose network is it, where, is it known for attacks?",
        _IP, malicious=_BAD, country=_text("Which country?"), owner=_text("Whose network?"),
    ),
    "intel.domain": _verb(
        "Look up a domain", "read", "Look up {{ inputs.domain }}: how old is it, is it known as bad? Do not open it.", _DOMAIN, malicious=_BAD,
    ),
    "intel.url": _verb(
        "Look up a URL", "read",
        "Look up {{ inputs.url }} by its host, without what follows a question mark. Do not open it and do not submit it.",
        _URL, malicious=_BAD,
    ),
    "intel.file": _verb(
        "Look up a file by its hash", "read", "Look up {{ inputs.hash }}: is the file known as bad? Do not upload the file.",
        _HASH, malicious=_BAD,
    ),
    "intel.cve": _verb(
        "Look up a vulnerability", "read",
        "Look up {{ inputs.cve }}: which versions have it, and does CISA list it as exploited?",
        {"cve": _text("The vulnerability")}, exploited=Value("yesno", "Is it known to be exploited?"), versions=_text("Which versions have it?"),
    ),
    "abuse.report": _verb(
        "Report to an abuse contact", "write",
        "Find the abuse contact of {{ inputs.value }} (whois, the host's page). Send the picture of the mail or the log line; never the "
        "names of those it was sent to.",
        {"value": _text("A domain or an address")}, number=_text("The number of their ticket"),
    ),
    # ------------------------------------------------------------------------------------------------ secrets
    "secret.get_status": _verb(
        "Ask whether a secret still works", "read",
        "Open the page of {{ inputs.secret }} on the platform that reported it. Read its state there; never try the secret yourself.",
        {"secret": _text("Which secret, without its value"), "link": Value("text", "Its page on the platform", required=False)},
        valid=Value("yesno", "Does it still work?"),
    ),
    "secret.list_use": _verb(
        "List who used a secret", "read",
        "Open the audit log of {{ inputs.secret }} from its first exposure until now. List addresses, calls, what was made and what was read.",
        {"secret": _text("Which secret, without its value")}, addresses=_list("Addresses nobody knows"),
    ),
    "secret.revoke": _verb(
        "Revoke a secret", "disruptive", "Revoke the secret ({{ inputs.secret }}) on the page of the system it belongs to.",
        {"secret": _text("Which secret, without its value"), "id": Value("text", "Its id, which opens nothing", required=False),
         "owner": Value("text", "Whose it is", required=False)},
    ),
    "code.search": _verb(
        "Search the code", "read",
        "Search all repositories for more like {{ inputs.value }}: the same beginning of the secret, the same author, the same repository.",
        {"value": _text("What to look for, without a secret's value"), "link": Value("text", "Its page on the platform", required=False)},
        places=_list("Where it stands, too"),
    ),
    # ------------------------------------------------------------------------------------------------ services
    "service.get": _verb(
        "Look up a service", "read",
        "Open {{ inputs.service }} in the list of services. Read who owns it, who depends on it and whether a maintenance is announced.",
        _SERVICE, owner=_text("Who owns it?"), maintenance=Value("yesno", "Is a maintenance announced?"),
    ),
    "service.check": _verb(
        "Open a service as a user does", "read",
        "Open {{ inputs.service }} from your phone, with Wi-Fi off. Read what it says, and how long it took.",
        _SERVICE, up=Value("yesno", "Does it work?"), says=_text("What does it say?"),
    ),
    "service.list_changes": _verb(
        "List a service's latest changes", "read",
        "Open the list of deployments and the change calendar. List what was changed at {{ inputs.service }} in the last 24 hours.",
        _SERVICE, changes=_list("Changes, with their time"),
    ),
    "service.restart": _verb("Restart a service", "disruptive", "Restart {{ inputs.service }} by its runbook.", _SERVICE),
    "service.roll_back": _verb(
        "Take a service's last change back", "disruptive", "Take the last change of {{ inputs.service }} back by its runbook.", _SERVICE,
    ),
    "service.fail_over": _verb(
        "Fail a service over", "disruptive", "Fail {{ inputs.service }} over to its other place by its runbook.", _SERVICE,
    ),
    "service.take_out": _verb(
        "Take a service off the net", "disruptive",
        "Take {{ inputs.service }} out of the load balancer, or show the maintenance page. Leave the machine on.", _SERVICE,
    ),
    "service.put_back": _verb(
        "Put a service back on the net", "disruptive", "Put {{ inputs.service }} back into the load balancer, or take the maintenance page away.",
        _SERVICE,
    ),
}  # fmt: skip
