"""A machine whose log grows and is rotated, a tail that follows it, and a door that keeps what is sent."""

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

from ingest.tail.door import Away, TooLarge
from ingest.tail.following import Bookmark, Tail
from ingest.tail.one_file import Limits
from ingest.tail.which_lines import Filter


class Died(Exception):
    """We were killed here."""


class Door:
    """A door as Tocsin's is: the same key again is the same delivery."""

    def __init__(self) -> None:
        self.kept: dict[str, list[str]] = {}
        self.posts = 0
        self.answers: list[str] = []  # what befalls the next posts

    def post(self, lines: list[bytes], key: str) -> dict[str, Any]:
        self.posts += 1
        what = self.answers.pop(0) if self.answers else "taken"
        if what == "died before":
            raise Died
        if what == "away":
            raise Away("503 busy", 0)
        if what == "too large" and len(lines) > 1:
            raise TooLarge
        status = "duplicate" if key in self.kept else "accepted"
        told = [line.decode() for line in lines]
        assert self.kept.setdefault(key, told) == told, "the same key for other lines would lose them"
        if what == "died after":
            raise Died
        return {"receipt": "1", "status": status}

    def close(self) -> None:
        """Nothing is held."""

    @property
    def lines(self) -> list[str]:
        return [line for lines in self.kept.values() for line in lines]


class Sensor:
    """A machine with one file that grows, and a tail that may be started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "eve.json"
        self.door = Door()
        self.written: list[str] = []
        self.limits = Limits(3, 200)
        self.tail: Tail | None = None
        self.filter = Filter([])
        self._clock = 1_700_000_000
        self._rotations = 0

    def write(self, *lines: str, end: str = "\n") -> None:
        with self.path.open("a") as file:
            for line in lines:
                file.write(line + end)
                self.written.append(line)
        self.tick(self.path)

    def event(self, **more: Any) -> str:
        return json.dumps({"n": len(self.written), **more})

    def tick(self, path: Path) -> None:
        """Files get times in the order in which they are written, as on a machine that is not in such a hurry."""
        self._clock += 1
        os.utime(path, (self._clock, self._clock))

    def start(self, since: float | None = None) -> Tail:
        self.stop()
        bookmark = Bookmark(str(self.folder / "state"), "eve")
        self.tail = Tail([str(self.path)], self.door, bookmark, self.filter, since)  # type: ignore[arg-type]  # behaves like one
        self.tail.limits = self.limits
        return self.tail

    def stop(self) -> None:
        """As kill -9 would: nothing is saved, what was held is let go."""
        if self.tail is not None:
            self.tail.close()
            self.tail = None

    def run(self) -> None:
        """Send all there is; killed now and then, as the door says, and started again each time."""
        while True:
            try:
                assert (self.tail or self.start()).run(0, once=True, patience=5)
                return
            except Died:
                self.stop()

    def rename(self) -> None:
        """As logrotate does it: .1 becomes .2, a new file is begun."""
        self._shift()
        if self.path.exists():
            self.path.rename(self.folder / "eve.json.1")
        self.path.touch()
        self.tick(self.path)

    def copy_and_truncate(self) -> None:
        self._shift()
        shutil.copyfile(self.path, self.folder / "eve.json.1")
        self.tick(self.folder / "eve.json.1")
        os.truncate(self.path, 0)
        self.tick(self.path)

    def compress(self) -> None:
        for old in sorted(self.folder.glob("eve.json.*")):
            if old.suffix != ".gz":
                packed = old.with_name(old.name + ".gz")
                packed.write_bytes(gzip.compress(old.read_bytes()))
                shutil.copystat(old, packed)
                old.unlink()

    def _shift(self) -> None:
        for number in range(8, 0, -1):
            for ending in ("", ".gz"):
                old = self.folder / f"eve.json.{number}{ending}"
                if old.exists():
                    old.rename(self.folder / f"eve.json.{number + 1}{ending}")
