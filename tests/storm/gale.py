"""Sends a storm from a process of its own: `python gale.py COUNT CLIENTS HOST PORT TOKENS-AS-JSON`; tells the figures as JSON.

Every alert is sent until it is acknowledged, as tools do: a 503 is obeyed by waiting as long as it says.
"""

import asyncio
import json
import re
import sys
import time

from flood import alert


class Gale:
    """All connections of one storm, which take the alerts in turn."""

    def __init__(self, count: int, host: str, port: int, tokens: dict[str, str]) -> None:
        self.count, self.host, self.port, self.tokens = count, host, port, tokens
        self.next = 0
        self.accepted = self.told_to_wait = 0
        self.refused: list[str] = []
        self.times: list[float] = []

    async def blow(self, clients: int) -> dict[str, object]:
        """Send it all; returns what came of it."""
        began = time.perf_counter()
        await asyncio.gather(*(self._connection() for _ in range(clients)))
        seconds = time.perf_counter() - began
        self.times.sort()
        p50, p99 = (self.times[int(len(self.times) * part)] * 1e3 for part in (0.5, 0.99))
        return {
            "accepted": self.accepted, "told_to_wait": self.told_to_wait, "refused": self.refused[:5],
            "seconds": seconds, "p50": p50, "p99": p99,
        }  # fmt: skip

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        while self.next < self.count:
            number = self.next
            self.next += 1
            one = alert(number, self.count)
            body = one.body(number)
            head = (
                f"POST /ingest/{one.tool} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {self.tokens[one.tool]}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            while True:
                begun = time.perf_counter()
                writer.write(head.encode() + body)
                answer = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)
                said = await reader.readexactly(int(length[1]) if length else 0)
                status = int(answer[9:12])
                if status == 503:
                    self.told_to_wait += 1
                    wait = re.search(rb"retry-after: (\d+)", answer, re.IGNORECASE)
                    await asyncio.sleep(int(wait[1]) if wait else 1)
                    continue
                self.times.append(time.perf_counter() - begun)
                if status == 202:
                    self.accepted += 1
                else:
                    self.refused.append(f"{status} {said[:200]!r}")
                break
        writer.close()


if __name__ == "__main__":
    count, clients, host, port, tokens = sys.argv[1:]
    print(json.dumps(asyncio.run(Gale(int(count), host, int(port), json.loads(tokens)).blow(int(clients)))))
