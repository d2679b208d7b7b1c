"""One path and the files behind it: found again after they were renamed, copied and truncated, or compressed."""

import contextlib
import os
import re
import stat
import time
from typing import Any, Dict, List, Optional, Tuple

from ingest.tail.one_file import (
    BROKEN,
    HEAD,
    LINGER,
    Batch,
    Entry,
    Limits,
    Log,
    Moved,
    digest,
    head_of,
    new_entry,
    opened,
)
from ingest.tail.which_lines import Filter, say


class Followed:
    """One path and the files that were or are behind it, oldest first; the last is written to, unless it is rotated."""

    def __init__(self, path: str, known: Optional[Dict[str, Any]], since: Optional[float]) -> None:
        self.path = path
        self.done: List[str] = list(known["done"]) if known else []
        self.logs: List[Log] = []
        self.lost = 0
        self._last_mtime: float = known["mtime"] if known else 0.0
        if known is None:
            self._begin(since)
        else:
            self._resume(known["logs"])

    def stored(self) -> Dict[str, Any]:
        """What the bookmark on disk keeps."""
        return {"logs": [log.entry for log in self.logs], "done": self.done[-50:], "mtime": self._last_mtime}

    def _begin(self, since: Optional[float]) -> None:
        found = self._stat()
        if since is not None:
            for path, other in self._others(found, since):
                self.logs.append(self._old(path, other, since))
        if found is not None:
            live = Log.begin(self.path, since)
            if since is None:
                live.to_the_end()
            self.logs.append(live)

    def _resume(self, entries: List[Entry]) -> None:
        for entry in entries:
            log = Log(entry)
            self._last_mtime = max(self._last_mtime, entry["mtime"])
            if log.is_untouched():
                continue  # what was written to it since may have been copied and cut: it is looked for as a new file is
            if not self._find(log, anywhere=True):
                if entry["head"] is not None:
                    self._say_lost(entry)
                continue
            entry["rotated"] = entry["rotated"] or entry["path"] != self.path
            self.logs.append(log)

    def _say_lost(self, entry: Entry) -> None:
        self.lost += 1
        say(
            "{}: the file that was read up to byte {} is gone; what was written after that was not sent".format(
                self.path, entry["offset"]
            )
        )

    def look(self) -> None:
        """See whether the file has been rotated, and how."""
        found = self._stat()
        live = self.logs[-1] if self.logs and not self.logs[-1].entry["rotated"] else None
        if live is not None:
            if found is not None and found.st_ino == live.entry["ino"]:
                if found.st_size >= live.entry["offset"] and live.is_same():
                    live.entry["mtime"] = found.st_mtime
                    return
                self._truncated(live)
            else:
                live.entry["rotated"] = True
                with contextlib.suppress(*BROKEN):
                    live.is_same()  # the last moment to learn how it begins
            self._last_mtime = max(self._last_mtime, live.entry["mtime"])
        if found is None:
            return
        if self.logs or self._last_mtime:
            for path, other in self._others(found, self._last_mtime):
                if other[0].st_mtime > self._last_mtime:
                    self.logs.append(self._old(path, other, None))
        with contextlib.suppress(
            FileNotFoundError
        ):  # it was moved away this very moment: the next look finds it
            self.logs.append(Log.begin(self.path))

    @staticmethod
    def _old(path: str, found: Tuple[os.stat_result, bytes], since: Optional[float]) -> Log:
        head = found[1]
        return Log(
            new_entry(path, found[0], rotated=True, since=since, head=digest(head), head_size=len(head))
        )

    def _truncated(self, live: Log) -> None:
        """Its bytes were copied elsewhere before it was cut: what is left to read is read from the copy."""
        live.close()
        if live.entry["head"] is None:  # nothing whole was ever in it
            self.logs.remove(live)
        elif self._find(live, anywhere=False):
            live.entry["rotated"] = True
        else:
            self.logs.remove(live)
            self._say_lost(live.entry)

    def _find(self, log: Log, *, anywhere: bool) -> bool:
        """Find the file by its inode and first line, or by its first line alone (a copy, a compressed one)."""
        entry = log.entry
        places = [(path, found) for path, found in self._nearby() if anywhere or path != self.path]
        places.sort(
            key=lambda place: (place[1].st_ino != entry["ino"], place[0] != entry["path"], -place[1].st_mtime)
        )
        for path, found in places:
            if entry["head"] is None:  # it was empty: what it became, if it was moved, is found as a new file
                if found.st_ino == entry["ino"] and path == entry["path"]:
                    return True
                continue
            head = self._head(path)
            if head is None and found.st_ino == entry["ino"] and not os.access(path, os.R_OK):
                raise PermissionError("{} may not be read".format(path))
            if head is not None and digest(head) == entry["head"]:
                entry["path"], entry["ino"] = path, found.st_ino
                return True
        return False

    @staticmethod
    def _head(path: str) -> Optional[bytes]:
        try:
            with opened(path) as handle:
                return head_of(handle.read(HEAD))
        except BROKEN:
            return None

    def _others(
        self, live: Optional[os.stat_result], since: float
    ) -> List[Tuple[str, Tuple[os.stat_result, bytes]]]:
        """The files behind this path that were written to since then and are not read yet, oldest first, and how they begin."""
        known = set(self.done) | {log.entry["head"] for log in self.logs}
        if live is not None:
            head = self._head(self.path)
            known.add(digest(head) if head else None)
        chosen = []
        for path, found in sorted(self._nearby(), key=lambda place: place[1].st_mtime):
            if (
                found.st_mtime < since
                or path == self.path
                or (live is not None and found.st_ino == live.st_ino)
            ):
                continue
            head = self._head(path)
            if head is not None and digest(head) not in known:
                known.add(digest(head))
                chosen.append((path, (found, head)))
        return chosen

    def _nearby(self) -> List[Tuple[str, os.stat_result]]:
        """Where its file may be by now: beside it under a longer name, or in the folders by day that Wazuh keeps."""
        folder, name = os.path.split(os.path.abspath(self.path))
        stem = os.path.splitext(name)[0]
        folders = [(folder, re.compile(re.escape(name) + "|" + re.escape(stem) + r"[-.]\d"))]
        for year in self._names(folder):
            if re.match(r"\d{4}$", year):
                of_day = re.compile(r"ossec-" + re.escape(stem) + r"-\d\d\.json")
                months = [
                    os.path.join(folder, year, month) for month in self._names(os.path.join(folder, year))
                ]
                folders += [(month, of_day) for month in months]
        places = []
        for where, pattern in folders:
            for other in self._names(where):
                path = os.path.join(where, other)
                if pattern.match(other) and not other.endswith((".sum", ".zst", ".tmp")):
                    try:
                        found = os.stat(path)
                    except OSError:
                        continue
                    if stat.S_ISREG(found.st_mode):
                        places.append((self.path if path == os.path.abspath(self.path) else path, found))
        return places

    @staticmethod
    def _names(folder: str) -> List[str]:
        try:
            return sorted(os.listdir(folder))
        except OSError:
            return []

    def _stat(self) -> Optional[os.stat_result]:
        try:
            return os.stat(self.path)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                raise
            return None

    def next_batch(self, limits: Limits, wanted: Filter) -> Optional[Tuple[Log, Batch]]:
        """What comes next, from the oldest file that still has something."""
        for log in list(self.logs):
            over = log.is_over()
            try:
                batch = self._take(log, limits, wanted, over)
            except BROKEN as error:
                self._mend(log, error)
                continue
            log.broken_since = None
            if batch is not None:
                log.quiet_since = None
                return log, batch
            if over:
                self._finish(log)
            elif log.entry["rotated"]:
                log.quiet_since = log.quiet_since or time.monotonic()
        return None

    def _take(self, log: Log, limits: Limits, wanted: Filter, over: bool) -> Optional[Batch]:
        """The next batch of one file; one that was renamed meanwhile is found first, so that no later file overtakes it."""
        try:
            return log.take(limits, wanted, over)
        except (FileNotFoundError, Moved):
            log.close()
            if not self._find(log, anywhere=True):
                raise
            return log.take(limits, wanted, over)

    def _mend(self, log: Log, error: BaseException) -> None:
        """Look for a file that was moved in the meantime; give up a damaged one after a while, and say so."""
        log.close()
        if isinstance(error, (FileNotFoundError, Moved)):
            if self._find(log, anywhere=True):
                log.entry["rotated"] = log.entry["rotated"] or log.entry["path"] != self.path
            elif (
                log.entry["head"] is None
            ):  # it was empty when it was seen; what it became is found as a new file
                self.logs.remove(log)
            else:
                self._say_lost(log.entry)
                self._finish(log)
            return
        if log.broken_since is None:
            log.broken_since = time.monotonic()
            say("{}: it cannot be read now: {}".format(log.entry["path"], error))
        elif log.packed and time.monotonic() - log.broken_since > 2 * LINGER:
            self._say_lost(log.entry)
            self._finish(log)

    def _finish(self, log: Log) -> None:
        log.close()
        self.logs.remove(log)
        self._last_mtime = max(self._last_mtime, log.entry["mtime"])
        if log.entry["head"] is not None:
            self.done.append(log.entry["head"])

    def behind(self) -> int:
        """Bytes that are written and not sent."""
        return sum(max(log.size() - log.entry["offset"], 0) for log in self.logs)
