"""What a storm is made of: alerts of fifty kinds on thousands of hosts from three tools, the same for the same number."""

import json
import random
from collections import Counter
from dataclasses import dataclass

KINDS, HOSTS, BUSY, TOOLS = 50, 4000, 20, ("edr", "siem", "ids")
SEVERITIES = ("high",) * 15 + ("medium",) * 15 + ("low",) * 12 + ("info",) * 8
NEEDLES = 8  # critical alerts among the others, each on a host of its own, of a kind that storms
MAPPING = """
mapping:
  title: title
  severity: {from: severity, values: {critical: critical, high: high, medium: medium, low: low, info: info}}
  rule_id: rule
  fingerprint: [rule, host]
  entities:
    - {type: host, from: host, role: target}
    - {type: ip, from: src_ip, role: source}
"""


@dataclass(frozen=True)
class Ringing:
    """One alert: which tool says what, of which kind and severity, about which host."""

    tool: str
    kind: int
    severity: str
    host: str

    @property
    def title(self) -> str:
        """Unlike any other's of another kind or host."""
        return f"Detection {self.kind:02d} on {self.host}"

    def body(self, number: int) -> bytes:
        """About 1 KiB of JSON, as a tool would send it."""
        told = {
            "rule": f"R-{self.kind:02d}", "title": self.title, "severity": self.severity, "host": self.host,
            "src_ip": f"203.0.113.{number % 250 + 1}", "number": number, "details": "x" * 700,
        }  # fmt: skip
        return json.dumps(told).encode()


def alert(number: int, of: int) -> Ringing:
    """The nth of `of` alerts: a fifth is about a few busy hosts, so that some repeat; the needles are spread."""
    every = max(of // NEEDLES, 1)
    chance = random.Random(number * 7919 + 17)
    kind = chance.randrange(KINDS)
    if number % every == every // 2 and number // every < NEEDLES:
        return Ringing(TOOLS[number % 3], number // every % 15, "critical", f"needle-{number // every}")
    host = (
        f"busy-{chance.randrange(BUSY)}" if chance.random() < 0.2 else f"host-{chance.randrange(HOSTS):04d}"
    )
    return Ringing(TOOLS[kind % 3], kind, SEVERITIES[kind], host)


def expected(of: int) -> Counter[tuple[str, str, str]]:
    """How often each (tool, title, severity) must be there in the end."""
    return Counter((one.tool, one.title, one.severity) for one in (alert(number, of) for number in range(of)))
