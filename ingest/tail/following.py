"""The loop: reads, remembers, sends, waits when Tocsin asks for it, and says how far it is."""

import fcntl
import json
import os
import random
import tempfile
import time
from typing import Any, Dict, List, Optional

from ingest.tail.door import Away, Door, TooLarge
from ingest.tail.one_file import BATCH_BYTES, BATCH_LINES, BROKEN, HEAD, Batch, Limits, Log
from ingest.tail.rotations import Followed
from ingest.tail.which_lines import Filter, say, size_of, stamp_of

LONGEST_WAIT = 60.0  # seconds between two tries
REPORT_EVERY = 60.0


class Bookmark:
    """The file that remembers how far everything has been sent; one tail at a time may hold it."""

    def __init__(self, folder: str, name: str) -> None:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.path = os.path.join(folder, name + ".json")
        self._lock = open(os.path.join(folder, name + ".lock"), "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise SystemExit("another tail works with {} already".format(self.path)) from None
        self.told = load(self.path)

    def close(self) -> None:
        """Let another tail have it."""
        self._lock.close()

    def save(self) -> None:
        """Write it so that after a power cut there is either the old or the new one, whole."""
        folder = os.path.dirname(self.path)
        number, temporary = tempfile.mkstemp(dir=folder, prefix=".bookmark-")
        with os.fdopen(number, "w") as file:
            json.dump(self.told, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path)
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def load(path: str) -> Dict[str, Any]:
    """What a bookmark says; an empty one when there is none."""
    try:
        with open(path) as file:
            told: Dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return {
            "files": {},
            "sent": {"lines": 0, "bytes": 0, "batches": 0, "passed": 0, "too_long": 0, "lost": 0},
        }
    return told


class Tail:
    """Follows some files and sends what they say."""

    def __init__(
        self, paths: List[str], door: Door, bookmark: Bookmark, wanted: Filter, since: Optional[float] = None
    ) -> None:
        self.door, self.bookmark, self.wanted = door, bookmark, wanted
        self.limits = Limits(BATCH_LINES, BATCH_BYTES)
        known = bookmark.told["files"]
        for path in paths:
            if since is not None and path in known:
                say("{}: it has been followed before, so --since changes nothing".format(path))
        self.followed = [Followed(path, known.get(path), since) for path in paths]
        self.sent = bookmark.told["sent"]
        self._reported = (time.monotonic(), "")
        self._saved = 0.0
        self._wrong: Dict[str, str] = {}
        self.trouble: Optional[str] = None
        self.save()

    def save(self) -> None:
        """Put everything into the bookmark on disk."""
        self.bookmark.told["files"].update({one.path: one.stored() for one in self.followed})
        self.sent["lost"] += sum(one.lost for one in self.followed)
        for one in self.followed:
            one.lost = 0
        self.bookmark.save()
        self._saved = time.monotonic()

    def close(self) -> None:
        """Let go of the files, the connection and the bookmark, which stays as it was last saved."""
        for one in self.followed:
            for log in one.logs:
                log.close()
        self.door.close()
        self.bookmark.close()

    def run(self, interval: float, once: bool, patience: float) -> bool:
        """Follow until stopped, or once to the end of what is there; False when Tocsin did not take it all."""
        while True:
            moved = False
            for one in self.followed:
                try:
                    one.look()
                    found = one.next_batch(self.limits, self.wanted)
                    self._wrong.pop(one.path, None)
                except BROKEN as error:
                    self._say_wrong(one.path, "{}: it cannot be read: {}".format(one.path, error))
                    continue
                if found is not None:
                    moved = True
                    if not self._deliver(found[0], found[1], patience if once else None):
                        return False
            self.report()
            if moved:
                continue
            if time.monotonic() - self._saved > 5:
                self.save()
            if once:
                self.save()
                return not self._wrong
            time.sleep(interval)

    def _say_wrong(self, path: str, why: str) -> None:
        if self._wrong.get(path) != why:
            self._wrong[path] = why
            say(why)

    def _deliver(self, log: Log, batch: Batch, patience: Optional[float]) -> bool:
        entry = log.entry
        if batch.lines:
            entry["pending"] = batch.end
            self.save()
            try:
                if not self._send(log, batch, patience):
                    return False
            except TooLarge:
                entry["pending"] = None  # it was refused, so nobody has stored it: the next one is smaller
                self.limits = Limits(self.limits.lines, max(self.limits.bytes // 2, HEAD))
                return True
            self.sent["lines"] += len(batch.lines)
            self.sent["bytes"] += sum(len(line) for line in batch.lines)
            self.sent["batches"] += 1
            self.sent["at"] = time.time()
            try:
                self.sent["stamp"] = stamp_of(json.loads(batch.lines[-1].decode("utf-8", "replace")))
            except ValueError:
                self.sent["stamp"] = None
        self.sent["passed"] += (
            batch.read - batch.too_long - len(batch.lines) + (1 if batch.too_long and batch.lines else 0)
        )
        self.sent["too_long"] += batch.too_long
        if batch.read:
            entry["long"] = None
        entry["offset"], entry["pending"] = batch.end, None
        if batch.lines or time.monotonic() - self._saved > 5:
            self.save()
        return True

    def _send(self, log: Log, batch: Batch, patience: Optional[float]) -> bool:
        tries, since, key = 0, time.monotonic(), log.key(batch)
        while True:
            try:
                told = self.door.post(batch.lines, key)
            except Away as away:
                tries += 1
                wait = min(2.0 ** min(tries, 6), LONGEST_WAIT) * random.uniform(0.5, 1.0)
                if away.after is not None:
                    wait = min(max(away.after, 0.1), 600.0) * random.uniform(1.0, 1.2)
                if str(away) != self.trouble:
                    self.trouble = str(away)
                    say("not taken, and tried again: {}".format(away))
                if patience is not None and time.monotonic() - since + wait > patience:
                    return False
                self.report()
                time.sleep(wait)
                continue
            if self.trouble is not None:
                say("taken again after {:.0f} s".format(time.monotonic() - since))
                self.trouble = None
            if told.get("status") == "quarantined":
                say(
                    "Tocsin could not read a batch and set it aside: see Quarantine, receipt {}".format(
                        told["receipt"]
                    )
                )
            return True

    def report(self, *, now: bool = False) -> None:
        """Say once a minute what was sent and how far behind we are, if there is anything new to say."""
        if not now and time.monotonic() - self._reported[0] < REPORT_EVERY:
            return
        text = summary(self.sent)
        for one in self.followed:
            try:
                behind = one.behind()
            except BROKEN:
                continue
            if behind:
                text += "; {}: {} behind".format(one.path, size_of(behind))
        if self.trouble:
            text += "; waiting: " + self.trouble
        if now or text != self._reported[1]:
            say(text)
        self._reported = (time.monotonic(), text)


def summary(sent: Dict[str, Any]) -> str:
    """What was sent so far, in a sentence."""
    text = "sent {:,} line{} ({}) in {:,} batch{}".format(
        sent["lines"], "" if sent["lines"] == 1 else "s", size_of(sent["bytes"]),
        sent["batches"], "" if sent["batches"] == 1 else "es",
    )  # fmt: skip
    for name, word in (
        ("passed", "passed over by the filter"),
        ("too_long", "too long"),
        ("lost", "files gone before they were sent"),
    ):
        if sent.get(name):
            text += ", {:,} {}".format(sent[name], word)
    if sent.get("stamp"):
        text += "; the last line is of " + time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(sent["stamp"]))
    return text
