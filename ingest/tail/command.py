"""Follows files of JSON lines, such as Suricata's eve.json and Wazuh's alerts.json, and hands each line to Tocsin once.

It is one file and needs Python 3.6 or newer and nothing else: copy it, read it, run it with --help.

How nothing is lost and nothing comes twice. Before a batch is sent, a bookmark on disk says which bytes of which file it
holds; after Tocsin has answered that they are stored, the bookmark moves on. Whoever dies in between, the same bytes are sent
again with the same Idempotency-Key, and Tocsin knows them. When Tocsin is away or busy, the lines wait in their file.
A file is known by its first line, so it is found again after it was renamed, copied and truncated, or compressed.
"""

import argparse
import getpass
import os
import re
import shutil
import signal
import sys
import time
from typing import Any, Callable, List, Optional

from ingest.tail.door import VERSION, Door
from ingest.tail.following import Bookmark, Tail, load, summary
from ingest.tail.one_file import BROKEN
from ingest.tail.service import install, source_name, unit
from ingest.tail.which_lines import Filter, say


def span(text: str) -> float:
    """Seconds in 90m, 24h or 7d."""
    found = re.match(r"(\d+)([mhd])$", text)
    if not found:
        raise argparse.ArgumentTypeError("write 90m, 24h or 7d")
    return int(found.group(1)) * {"m": 60.0, "h": 3600.0, "d": 86400.0}[found.group(2)]


def arguments() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(
        prog="tocsin tail", formatter_class=argparse.RawDescriptionHelpFormatter,
        description=str(__doc__).partition("\n\n")[0] + "\n\nThe secret comes from TOCSIN_SECRET or --secret-file, never from the command line.",
        epilog="Example: tocsin_tail.py --url https://tocsin.example.org/ingest/suricata --secret-file secret /var/log/suricata/eve.json",
    )  # fmt: skip
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="files of JSON lines; they need not be there yet"
    )
    parser.add_argument(
        "--url", default=os.environ.get("TOCSIN_URL"), help="the source's address (or TOCSIN_URL)"
    )
    parser.add_argument(
        "--secret-file", metavar="FILE", help="where the source's secret is; - reads one line of input"
    )
    parser.add_argument("--ca", metavar="FILE", help="certificates to trust instead of the system's")
    parser.add_argument(
        "--pin", metavar="SHA256", help="the fingerprint of Tocsin's certificate or of its key: trust this one alone"
    )
    parser.add_argument(
        "--filter",
        action="append",
        metavar="MEMBER=VALUE",
        help="send only such lines, as event_type=alert (the default for eve*.json), rule.level>=7, host!=lab; may be repeated",
    )
    parser.add_argument("--no-filter", action="store_true", help="send every line, also of eve.json")
    parser.add_argument(
        "--since",
        metavar="24h",
        help="for a file not followed before: read so far back, in rotated files too; otherwise it is read from its end",
    )
    parser.add_argument("--once", action="store_true", help="send what is there and end")
    parser.add_argument(
        "--patience", type=float, default=60.0, metavar="SECONDS", help="with --once: how long to try (60)"
    )
    parser.add_argument("--state", metavar="FOLDER", help="where the bookmark is kept")
    parser.add_argument(
        "--interval", type=float, default=0.5, metavar="SECONDS", help="how often to look for new lines (0.5)"
    )
    parser.add_argument("--status", action="store_true", help="say what was sent so far, and end")
    parser.add_argument(
        "--print-unit", action="store_true", help="print the systemd unit that --install would write"
    )
    parser.add_argument(
        "--install", action="store_true", help="as root: install, enable and start it as a service"
    )
    parser.add_argument("--version", action="version", version="tocsin-tail " + VERSION)
    return parser


def secret_reader(options: argparse.Namespace) -> Callable[[], str]:
    """Reads the secret each time it is needed, so that a changed file is heard of; input and terminal are asked once."""
    path = options.secret_file
    if path and path != "-":

        def from_file() -> str:
            with open(path) as file:
                return file.read().strip()

        return from_file
    secret = sys.stdin.readline() if path == "-" else os.environ.get("TOCSIN_SECRET", "")
    if not secret.strip() and options.install and sys.stdin.isatty():
        secret = getpass.getpass("The source's secret: ")
    secret = secret.strip()
    return lambda: secret


def state_folder(options: argparse.Namespace) -> str:
    """Where the bookmark is: where we are told, where systemd says, or the usual place."""
    home = os.path.expanduser("~/.local/state/tocsin-tail")
    usual = "/var/lib/tocsin-tail" if os.geteuid() == 0 else home
    return str(options.state or os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or usual)


def stop(*_signal: Any) -> None:
    """End: the bookmark is right at any moment."""
    raise SystemExit(0)


def main(words: Optional[List[str]] = None) -> int:
    """Run it; returns 0, or 1 when --once could not send everything."""
    parser = arguments()
    options = parser.parse_args(words)
    if not options.url:
        parser.error("give --url: the source's page shows it")
    try:
        since = time.time() - span(options.since) if options.since else None
    except argparse.ArgumentTypeError as error:
        parser.error("--since {}: {}".format(options.since, error))
    if options.status:
        sys.stdout.write(
            summary(load(os.path.join(state_folder(options), source_name(options.url) + ".json"))["sent"])
            + "\n"
        )
        return 0
    if not options.files:
        parser.error("name at least one file")
    conditions = [] if options.no_filter else options.filter
    if conditions is None and all(os.path.basename(path).startswith("eve") for path in options.files):
        conditions = ["event_type=alert"]
    wanted = Filter(conditions or [])
    if options.print_unit:
        sys.stdout.write(unit(options, options.files))
        return 0
    secret = secret_reader(options)
    if not secret():
        parser.error("there is no secret: set TOCSIN_SECRET or give --secret-file")
    door = Door(options.url, secret, options.ca, options.pin)
    if door.url.scheme == "http" and door.url.hostname not in ("127.0.0.1", "localhost", "::1"):
        say(
            "warning: {} is not encrypted; whoever listens learns the secret and the alerts".format(
                options.url
            )
        )
    if options.install:
        if not shutil.which("systemctl"):
            parser.error("there is no systemctl here: start it by your own means, without --install")
        name = install(options, options.files, secret(), os.path.abspath(__file__))
        say("{} runs; journalctl -fu {} shows what it says".format(name, name))
        return 0
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    bookmark = Bookmark(state_folder(options), source_name(options.url))
    try:
        tail = Tail(options.files, door, bookmark, wanted, since)
    except BROKEN as error:
        say("cannot begin: {}".format(error))
        return 1
    say(
        "following {} for {}{}".format(
            ", ".join(options.files), options.url, ", only " + " and ".join(conditions) if conditions else ""
        )
    )
    try:
        done = tail.run(options.interval, options.once, options.patience)
    finally:
        tail.report(now=True)
        tail.close()
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
