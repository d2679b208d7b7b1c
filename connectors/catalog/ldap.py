"""LDAP directories and Active Directory: look up, disable and enable an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.contract import ActionContext, ActionFailed
from connectors.declared import from_text
from core.net import ldap

ACCOUNT_DISABLED = 0x2  # userAccountControl flag (MS-ADTS 2.2.16)
LOCKED_FOR_EVER = (
    "000001010000Z"  # pwdAccountLockedTime of slapo-ppolicy: locked until an administrator unlocks
)
_CONTROL = "userAccountControl"
_ATTRIBUTES = (
    "cn",
    "displayName",
    "mail",
    "uid",
    "sAMAccountName",
    "userPrincipalName",
    "manager",
    "whenChanged",
)


def get_account(context: ActionContext, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The account's name, state and mail: {found, dn, disabled, name, mail, login}."""
    with _directory(context) as directory:
        entry = _find(context, directory, str(inputs["user"]))
    if entry is None:
        return {"found": False}
    return {
        "found": True,
        "dn": entry.dn,
        "disabled": _disabled(context, entry),
        "name": _text(entry, "displayName") or _text(entry, "cn"),
        "mail": _text(entry, "mail"),
        "login": _text(entry, "userPrincipalName") or _text(entry, "sAMAccountName") or _text(entry, "uid"),
        "manager": _text(entry, "manager"),
    }


def disable_account(context: ActionContext, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Disable: {dn, changed, before}; `changed` is False when it was disabled already."""
    return _switch(context, str(inputs["user"]), disabled=True)


def enable_account(context: ActionContext, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Enable again: {dn, changed, before}."""
    return _switch(context, str(inputs["user"]), disabled=False)


def health(context: ActionContext) -> str:
    """Bind and read the base entry."""
    with _directory(context) as directory:
        found = directory.search(
            str(context.settings["base_dn"]), "(objectClass=*)", ["objectClass"], limit=1, scope="base"
        )
    if not found:
        raise ActionFailed("The base is not there, or this account may not read it.")
    return "Signed in; the base can be read."


def _switch(context: ActionContext, user: str, *, disabled: bool) -> dict[str, Any]:
    with _directory(context) as directory:
        entry = _find(context, directory, user)
        if entry is None:
            raise ActionFailed(f'There is no account "{user}" below {context.settings["base_dn"]}.')
        if _disabled(context, entry) is disabled:
            return {"dn": entry.dn, "changed": False, "before": _before(context, entry)}
        directory.modify(entry.dn, _changes(context, entry, disabled))
        return {"dn": entry.dn, "changed": True, "before": _before(context, entry)}


def _changes(
    context: ActionContext, entry: ldap.Found, disabled: bool
) -> dict[str, list[tuple[str, list[str]]]]:
    style = _style(context, entry)
    if style == "active_directory":
        now = _control(entry)
        wanted = now | ACCOUNT_DISABLED if disabled else now & ~ACCOUNT_DISABLED
        # delete the value read and add the new one: refused when somebody changed it in between
        return {_CONTROL: [(ldap.DELETE, [str(now)]), (ldap.ADD, [str(wanted)])]}
    name, value = _marker(context, style)
    return {name: [(ldap.REPLACE, [value] if disabled else [])]}


def _disabled(context: ActionContext, entry: ldap.Found) -> bool:
    style = _style(context, entry)
    if style == "active_directory":
        return bool(_control(entry) & ACCOUNT_DISABLED)
    name, value = _marker(context, style)
    return _text(entry, name) == value


def _before(context: ActionContext, entry: ldap.Found) -> str | None:
    style = _style(context, entry)
    return str(_control(entry)) if style == "active_directory" else _text(entry, _marker(context, style)[0])


def _style(context: ActionContext, entry: ldap.Found) -> str:
    style = str(context.settings.get("style") or "auto")
    if style == "auto":
        return "active_directory" if entry.first(_CONTROL) is not None else "ppolicy"
    return style


def _marker(context: ActionContext, style: str) -> tuple[str, str]:
    """The attribute and the value that mean disabled."""
    if style == "ppolicy":
        return "pwdAccountLockedTime", LOCKED_FOR_EVER
    return str(context.settings.get("disabled_attribute") or "nsAccountLock"), str(
        context.settings.get("disabled_value") or "TRUE"
    )


def _control(entry: ldap.Found) -> int:
    text = _text(entry, _CONTROL)
    if text is None or not text.lstrip("-").isdigit():
        raise ActionFailed(f"The account {entry.dn} shows no userAccountControl: may this account read it?")
    return int(text)


def _text(entry: ldap.Found, name: str) -> str | None:
    value = entry.first(name)
    return value if isinstance(value, str) else None


def _directory(context: ActionContext) -> Any:
    settings = context.settings
    return ldap.connect(
        str(settings["url"]), user=str(settings.get("bind_dn") or ""), password=context.secrets.get("password", ""),
        starttls=bool(settings.get("starttls", False)), ca=settings.get("ca") or None, egress=context.egress,
    )  # fmt: skip


def _find(context: ActionContext, directory: ldap.Directory, user: str) -> ldap.Found | None:
    r"""The one account of this login (DOMAIN\user and user@domain are understood); never a guess between two."""
    names = [user]
    if "\\" in user:
        names.append(user.rpartition("\\")[2])
    configured = str(context.settings.get("login_attributes") or "sAMAccountName,userPrincipalName,uid,mail")
    clauses = "".join(
        f"({attribute.strip()}={ldap.escape(name)})"
        for attribute in configured.split(",")
        for name in names
        if attribute.strip()
    )
    marker = str(context.settings.get("disabled_attribute") or "nsAccountLock")
    wanted = (*_ATTRIBUTES, _CONTROL, "pwdAccountLockedTime", marker)
    found = directory.search(str(context.settings["base_dn"]), f"(|{clauses})", wanted, limit=2)
    if len(found) > 1:
        raise ActionFailed(
            f'More than one account answers to "{user}": {found[0].dn} and {found[1].dn}. Name it by its full login.'
        )
    return found[0] if found else None


CONNECTOR = from_text(
    r"""
connector: ldap
name: LDAP and Active Directory
kind: identity
docs: https://learn.microsoft.com/en-us/troubleshoot/windows-server/active-directory/useraccountcontrol-manipulate-account-properties
scopes: "An account that may read users and write userAccountControl (Active Directory) or pwdAccountLockedTime (OpenLDAP) of the users in question, nothing else."

settings:
  url: {type: url, required: true, description: "ldaps://dc1.example.com, or ldap:// with StartTLS"}
  base_dn: {type: string, required: true, description: "Below which accounts are searched, such as ou=people,dc=example,dc=com"}
  bind_dn: {type: string, required: true, description: "A distinguished name, or user@domain for Active Directory"}
  starttls: {type: boolean, default: false, description: "Upgrade ldap:// to TLS"}
  ca: {type: text, description: "The certificate authority's PEM, when it is not a public one"}
  style: {type: string, default: auto, enum: [auto, active_directory, ppolicy, attribute], description: "How an account is disabled"}
  disabled_attribute: {type: string, default: nsAccountLock, description: "For style attribute: which attribute"}
  disabled_value: {type: string, default: "TRUE", description: "For style attribute: the value that means disabled"}
  login_attributes: {type: string, default: "sAMAccountName,userPrincipalName,uid,mail", description: "Where logins stand"}
secrets:
  password: {required: true}
health: {run: health}

actions:
  get_account:
    title: Look up an account
    verb: identity.get_user
    effect: read
    input: {user: {type: string, required: true, entity: user, description: "Login, DOMAIN\\login or e-mail address"}}
    run: get_account
    instructions: "Look up {{ inputs.user }} in the directory and note state, mail and manager."
  disable_account:
    title: Disable an account
    description: |
      New sign-ins are refused; tickets and sessions that exist live on until they end or are revoked. OpenLDAP heeds the lock only
      where the account's password policy has pwdLockout TRUE.
    verb: identity.disable_user
    effect: disruptive
    idempotent: true
    input: {user: {type: string, required: true, entity: user, description: "Login, DOMAIN\\login or e-mail address"}}
    run: disable_account
    probe: {action: get_account, done_when: output.disabled == true}
    undo: {action: enable_account}
    instructions: "Disable the account {{ inputs.user }} in the directory, and write down when and by whom."
  enable_account:
    title: Enable an account again
    verb: identity.enable_user
    effect: disruptive
    idempotent: true
    input: {user: {type: string, required: true, entity: user, description: "Login, DOMAIN\\login or e-mail address"}}
    run: enable_account
    probe: {action: get_account, done_when: output.disabled == false}
    undo: {action: disable_account}
    instructions: "Enable the account {{ inputs.user }} again, after its owner was spoken to and has a new password."
""",
    "ldap",
    {
        "get_account": get_account,
        "disable_account": disable_account,
        "enable_account": enable_account,
        "health": health,
    },
)
