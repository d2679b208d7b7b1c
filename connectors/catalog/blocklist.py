"""Our own block list as a product: firewalls, resolvers and proxies fetch it; nothing is pushed to them."""

from collections.abc import Mapping
from typing import Any

from connectors.contract import ActionContext
from connectors.declared import from_text


def _block(kind: str, name: str) -> Any:
    def block(context: ActionContext, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        value = str(inputs[name]).strip()
        return {"value": value, "new": context.ports["blocklist"].add(kind, value, context.key)}

    return block


def _unblock(kind: str, name: str) -> Any:
    def unblock(context: ActionContext, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        value = str(inputs[name]).strip()
        return {"value": value, "removed": context.ports["blocklist"].remove(kind, value)}

    return unblock


def _look(kind: str, name: str) -> Any:
    def look(context: ActionContext, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        state: Mapping[str, Any] = context.ports["blocklist"].state(kind, str(inputs[name]).strip())
        return state

    return look


_ACTIONS = """
  block_{kind}:
    title: Put {what} on the block list
    description: In force as soon as a firewall, resolver or proxy has fetched the list.
    verb: network.block_{kind}
    effect: disruptive
    idempotent: true
    input: {{{kind}: {{type: string, required: true, entity: {entity}, description: "{Says}"}}}}
    run: block_{kind}
    output: {{}}
    probe: {{action: listed_{kind}, done_when: output.listed}}
    undo: {{action: unblock_{kind}}}
    instructions: "Block {{{{ inputs.{kind} }}}} at the outer firewall, in DNS or at the proxy, and write down when the block ends."
  unblock_{kind}:
    title: Take {what} off the block list
    verb: network.unblock_{kind}
    effect: write
    idempotent: true
    input: {{{kind}: {{type: string, required: true, entity: {entity}, description: "{Says}"}}}}
    run: unblock_{kind}
    instructions: "Take the block of {{{{ inputs.{kind} }}}} back where it was made."
  listed_{kind}:
    title: Whether {what} is on the block list
    effect: read
    input: {{{kind}: {{type: string, required: true, entity: {entity}, description: "{Says}"}}}}
    run: listed_{kind}
    instructions: "Look whether {{{{ inputs.{kind} }}}} is blocked at the outer firewall, in DNS or at the proxy."
"""

_KINDS = (("ip", "an address", "ip"), ("domain", "a domain", "domain"), ("url", "a URL", "url"))
_TEXT = """
connector: blocklist
name: Block list
kind: firewall
docs: https://docs.paloaltonetworks.com/pan-os/11-1/pan-os-admin/policy/use-an-external-dynamic-list-in-policy
setup: |
  Make a feed for each product that is to fetch it, and give the product the feed's address: an external dynamic list
  (Palo Alto), an external connector (FortiGate), an alias of URL tables (pfSense, OPNsense), a response policy zone
  built from it, or `ipset` and a cron job.
actions:
"""

CONNECTOR = from_text(
    _TEXT
    + "".join(
        _ACTIONS.format(kind=kind, what=what, Says=what.capitalize(), entity=entity)
        for kind, what, entity in _KINDS
    ),
    "blocklist",
    {
        f"{word}_{kind}": make(kind, kind)
        for kind, _, _ in _KINDS
        for word, make in (("block", _block), ("unblock", _unblock), ("listed", _look))
    },
)
