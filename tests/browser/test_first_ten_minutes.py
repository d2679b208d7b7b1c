"""The first ten minutes of somebody who knows nothing of Tocsin, with Wazuh and Suricata, in a real browser, timed."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import oldest_python
import pyotp
import pytest
import written_logs as logs
from free_ports import wait_until
from in_chromium import PHONE, Person, mark, marked
from playwright.sync_api import Browser, Locator, Page, expect
from running_tocsin import Tocsin
from system_units import command_of
from tables_ready import ROOT
from vendor_server import Answer, Call, Vendor


MOST_SECONDS = 90.0
"""What the machine's part of the ten minutes may take; the rest belongs to the person."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass
class Stopwatch:
    """How long each station took."""

    stations: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def at(self, station: str) -> Iterator[None]:
        """Time a station."""
        began = time.monotonic()
        yield
        self.stations.append((station, time.monotonic() - began))

    @property
    def total(self) -> float:
        """Seconds of all stations together."""
        return sum(seconds for _name, seconds in self.stations)

    def table(self) -> str:
        """As docs/operate.md shows it."""
        rows = [f"| {name} | {seconds:.1f} |" for name, seconds in self.stations]
        return "\n".join(["| Station | Seconds |", "|---|---:|", *rows, f"| **Together** | **{self.total:.1f}** |"])


class Machine:
    """A machine with a log: what a source's page says is typed there, and the tail goes on until the end."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder, self.log = folder, log
        self.tail: subprocess.Popen[bytes] | None = None

    def follow(self, page: Page) -> None:
        """Type what the page shows, but for what needs root: the unit it would write is checked, and its command begun."""
        shown = page.locator("details.way[open] pre")
        fetch, install = shown.nth(0).inner_text(), shown.nth(1).inner_text()
        subprocess.run(["bash", "-c", fetch], cwd=self.folder, check=True, timeout=60, capture_output=True)
        assert "sudo python3 tocsin_tail.py --install --since 24h" in install
        typed = install.replace("sudo python3", oldest_python.or_this()).replace("--install", "--print-unit")
        typed = re.sub(r"/var/\S+\.json", str(self.log), typed)
        wrote = subprocess.run(["bash", "-c", typed], cwd=self.folder, check=True, timeout=60, capture_output=True, text=True)
        python, _program, *words = command_of(wrote.stdout, self.folder)
        secret = install.rpartition("<<'END'\n")[2].partition("\n")[0]
        with (self.folder / "tail.log").open("ab") as said:
            self.tail = subprocess.Popen(
                [python, "tocsin_tail.py", *words, "--state", str(self.folder / "state")], cwd=self.folder, stdout=said, stderr=said,
                env={**os.environ, "TOCSIN_SECRET": secret}, start_new_session=True,
            )  # fmt: skip

    def stop(self) -> None:
        """End the tail."""
        if self.tail is not None:
            os.killpg(self.tail.pid, signal.SIGTERM)
            self.tail.wait(20)

    @property
    def said(self) -> str:
        """What the tail has written."""
        path = self.folder / "tail.log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else "it has not begun"


@dataclass
class Scene:
    """Ana at her desk, her telephone, and the machines whose logs she connects."""

    tocsin: Tocsin
    ana: Person
    phone: Person
    push: Vendor
    machines: dict[str, Machine]
    clock: Stopwatch

    @property
    def page(self) -> Page:
        """The browser on her desk."""
        return self.ana.page

    def rail(self, word: str) -> None:
        """Go somewhere by the rail."""
        with self.page.expect_navigation():
            self.page.locator("a.rail-item", has_text=word).click()

    def go_on(self, word: str) -> None:
        """Follow what the page itself names as the next step."""
        with self.page.expect_navigation():
            self.page.locator(".next-step").get_by_role("link", name=word).click()


@pytest.fixture
def scene(chromium: Browser, tocsin: Callable[..., Tocsin], vendor: Vendor, tmp_path: Path) -> Iterator[Scene]:
    machines = {}
    for name, day in (("wazuh", logs.wazuh_day), ("suricata", logs.suricata_day)):
        (tmp_path / name).mkdir()
        machines[name] = Machine(tmp_path / name, day(tmp_path / name, datetime.now(UTC)))
    clock = Stopwatch()
    vendor.answer("POST", "/", lambda _call: Answer(body={"id": "m-1"}))
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nrun:")[2].splitlines()[1]
    assert recipe.strip() == "@exec $(BIN)/tocsin serve", "what is timed is what `make run` runs"
    with clock.at("`make run` on an installed clone: it is ready, and prints its link"):
        running = tocsin(TOCSIN_HOST="0.0.0.0", TOCSIN_TLS="generate").start()
        link = re.compile(r"set your password at (\S+)")
        wait_until(lambda: link.search(running.log.read_text(encoding="utf-8")), what="the first link")
    with clock.at("Open the link"):
        address = link.findall(running.log.read_text(encoding="utf-8"))[0]
        parts = urlsplit(address)
        running.url = f"{parts.scheme}://{parts.netloc}"
        ana = Person(chromium, running, ignore_https_errors=True)
        ana.page.goto(address)
    phone = Person(chromium, running, ignore_https_errors=True, viewport=PHONE, is_mobile=True, has_touch=True)
    made = Scene(running, ana, phone, vendor, machines, clock)
    yield made
    for machine in machines.values():
        machine.stop()
    print(f"\n{clock.table()}\n")
    phone.close()
    ana.close()


def test_ten_minutes_with_wazuh_and_suricata(scene: Scene) -> None:
    stations = (
        ("Who are you? Name, password, authenticator app; what is yours?", who_are_you),
        ("Connect Wazuh, read its last 24 hours, see what they came to", connect_wazuh),
        ("Ignore the loudest rule from its host for 30 days", ignore_the_loudest),
        ("Connect Suricata", connect_suricata),
        ("Who wakes up? A push to the phone, confirmed by its code", who_wakes_up),
        ("A test page, acknowledged on the phone, with its ledger", rings),
        ("A list that the firewall fetches; a private address is refused", publish_a_list),
        ("A brute force comes in; both tools' alerts are one incident", attack),
        ("Answer the playbook's question, approve the block, the firewall fetches it", block),
        ("Close it with one key, fetch the report", close_and_report),
        ("Health, and nothing needs you", health),
    )  # fmt: skip
    for station, play in stations:
        with scene.clock.at(station):
            play(scene)
    assert scene.clock.total < MOST_SECONDS, scene.clock.table()


def who_are_you(scene: Scene) -> None:
    page = scene.page
    page.get_by_label("Your name").fill("Ana")
    page.get_by_label("E-mail").fill("ana@example.org")
    page.get_by_label("Password", exact=True).fill("a sentence to remember")
    page.get_by_label("The same password again").fill("a sentence to remember")
    page.get_by_role("button", name="Set password").click()
    networks = page.get_by_label("Your networks")
    networks.fill(f"{networks.input_value()}\n192.0.2.0/24".strip())
    page.get_by_role("button", name="Never act against these").click()
    page.get_by_role("button", name="Set up an app").click()
    secret = page.locator(".secret-once code").text_content() or ""
    page.get_by_label("Then type the code").fill(pyotp.TOTP(secret).now())
    page.get_by_role("button", name="Finish").click()
    page.get_by_role("link", name="I have kept them").click()
    scene.go_on("Connect a tool")


def _connect(scene: Scene, product: str, alerts: int) -> Locator:
    """Add a source of a product, do what its page says, and wait until it has read the day; returns what arrived."""
    page, machine = scene.page, scene.machines[product.lower()]
    page.get_by_role("searchbox", name="Find a product").fill(product)
    page.get_by_role("button", name="Find", exact=True).click()
    page.locator(".products").get_by_role("link", name=product).click()
    page.get_by_role("button", name="Add and show its address").click()
    expect(page.get_by_text("Waiting for the first alert…").last).to_be_visible()
    mark(page)
    machine.follow(page)
    arrived = page.locator("#arrived")
    try:
        expect(arrived).to_contain_text(f"{alerts:,} alerts →")
    except AssertionError as error:
        raise AssertionError(f"{error}\nthe tail said:\n{machine.said}") from None
    assert marked(page), "the page was loaded again, and the secret with it gone"
    return arrived


def connect_wazuh(scene: Scene) -> None:
    arrived = _connect(scene, "Wazuh", logs.WAZUH_DAY)
    expect(arrived).to_contain_text("What we understood")
    expect(arrived.locator(".raw pre")).to_contain_text('"full_log"')
    expect(arrived.locator(".lead-line")).to_have_text(
        re.compile(r"2,400 alerts → 1 incident, 1 would have paged; 9\d % from 3 rules\.")
    )


def ignore_the_loudest(scene: Scene) -> None:
    page = scene.page
    loudest = page.locator(".loudest li").first
    expect(loudest).to_contain_text("sshd: Attempt to login using a non-existent user")
    loudest.get_by_role("link", name="Ignore it from bastion-01 for 30 days, because…").click()
    expect(page.get_by_label("bastion-01")).to_be_checked()
    expect(page.get_by_label("30 days")).to_be_checked()
    page.get_by_label("Because").fill("The door to the internet is knocked at all day")
    page.get_by_role("button", name="Ignore it").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("wazuh")
    expect(page.get_by_text("1 thing of it is ignored")).to_be_visible()
    expect(page.locator(".loudest li").first.get_by_role("link", name="Ignore it")).to_have_count(0)


def connect_suricata(scene: Scene) -> None:
    scene.page.get_by_role("link", name="Sources", exact=True).click()
    arrived = _connect(scene, "Suricata", logs.SURICATA_DAY)
    expect(arrived.locator(".lead-line")).to_contain_text("180 alerts → 0 incidents, 0 would have paged; 100 % from 3 rules.")
    scene.go_on("Say how you are reached")


def _pushed(scene: Scene, number: int) -> Call:
    """The push that reaches the phone as that one, from one."""
    return scene.push.wait_for(number)[number - 1]


def who_wakes_up(scene: Scene) -> None:
    page = scene.page
    page.locator("summary", has_text="ntfy push").click()
    form = page.locator("details.way-new[open]")
    form.get_by_label("Topic").fill("ana-7f31c2")
    form.get_by_label("Server").fill(scene.push.url)
    form.get_by_role("button", name="Add ntfy push").click()
    page.get_by_role("button", name="Test").click()
    code = re.search(r"(\d ){5}\d", _pushed(scene, 1).json["message"])
    assert code, scene.push.calls[0].body
    page.get_by_label("Code that it brought").fill(code[0])
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tocsin can reach you")
    scene.go_on("Send yourself a test page")


def rings(scene: Scene) -> None:
    page = scene.page
    page.get_by_role("button", name="Send a test page").click()
    page.wait_for_url("/pages/*")
    mark(page)
    rung = _pushed(scene, 2).json
    assert rung["title"].endswith("Test page from Ana")
    scene.phone.page.goto(rung["click"])
    scene.phone.page.get_by_role("button", name="Acknowledge").tap()
    expect(scene.phone.page.get_by_text("You have it")).to_be_visible()
    ledger = page.locator(".ledger")
    for word in ("Sent", "Receipt", "Acknowledged"):
        expect(ledger.locator("tr", has_text=word).locator("td").first).to_have_text(re.compile(r"^\d+(\.\d+)? (ms|s)"))
    assert marked(page), "the page was loaded again"


def publish_a_list(scene: Scene) -> None:
    page = scene.page
    scene.rail("Now")
    page.locator("#first-steps").get_by_role("link", name="Let your firewall fetch what is blocked").click()
    page.get_by_label("Is this protected?").fill("10.0.0.5")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#protected")).to_contain_text("is protected:")
    page.locator("#feeds").get_by_label("Name").fill("edge firewall")
    page.locator("#feeds").get_by_role("button", name="Publish").click()
    scene.tocsin.env["FEED"] = page.locator(".secret-once code").inner_text()
    page.get_by_role("link", name="I have kept it").click()


def attack(scene: Scene) -> None:
    page = scene.page
    scene.rail("Now")
    mark(page)
    expect(page.locator("#first-steps")).to_have_count(0)
    title = "sshd: brute force trying to get access to the system. Authentication failed."
    logs.write(scene.machines["wazuh"].log, *(logs.brute_force(datetime.now(UTC), serial) for serial in range(12)))
    appeared = page.locator("table").get_by_role("link", name=title)
    expect(appeared).to_be_visible()
    assert marked(page), "the first page was loaded again"
    appeared.click()
    logs.write(scene.machines["suricata"].log, logs.ssh_scan(datetime.now(UTC)))
    alerts = page.locator("#alerts")
    expect(alerts).to_contain_text("EXAMPLE SCAN SSH brute force from outside")
    expect(page.locator("#work")).to_contain_text("Did a sign-in of deploy succeed?")


def block(scene: Scene) -> None:
    page = scene.page
    page.get_by_role("button", name="Take it").click()
    expect(page.locator(".case-facts")).to_contain_text("Ana")  # what is chosen before it has answered would be lost
    page.wait_for_load_state()
    asked = page.locator("article.task").filter(has_text="Did a sign-in of deploy succeed?")
    asked.get_by_label("Did one attempt succeed?").select_option("no")
    asked.get_by_label("Is there a harmless explanation?").select_option("none")
    asked.get_by_role("button", name="Done").click()
    here = page.url
    page.locator("#work").get_by_role("link", name="Look").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Block the source addresses?")
    expect(page.locator("main")).to_contain_text("203.0.113.9")
    page.wait_for_load_state()
    page.get_by_label("type APPROVE").fill("APPROVE")
    page.get_by_label("Why?").fill("It tries our bastion")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("This has been decided.")).to_be_visible()
    page.goto(here)
    mark(page)
    measure = page.locator("#measures li").filter(has_text="203")
    expect(measure).to_contain_text("Proposed")
    expect(page.locator("#actions")).to_contain_text("is protected")
    with scene.tocsin.client(base_url=scene.tocsin.url) as firewall:
        assert firewall.get(scene.tocsin.env["FEED"]).text.split() == ["203.0.113.9"]
    expect(measure).to_contain_text("Active")
    assert marked(page), "the incident was loaded again"


def _why_nothing(page: Page, answer: str) -> None:
    """Press `f` and the number of an answer; a page hears keys once its scripts have run."""
    page.wait_for_load_state()
    page.keyboard.press("f")
    expect(page.get_by_role("heading", level=1)).to_have_text("Why was it nothing?")
    page.wait_for_load_state()
    page.keyboard.press(answer)


def close_and_report(scene: Scene) -> None:
    page = scene.page
    key = page.url.rpartition("/")[2]
    _why_nothing(page, "3")
    expect(page.get_by_text(f"{key} is closed.")).to_be_visible()
    scene.rail("Reports")
    page.locator("tr", has_text=key).get_by_role("link", name="sshd: brute force").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("sshd: brute force")
    pdf = page.get_by_role("link", name="PDF: full")
    with page.expect_download() as fetched:
        pdf.click()
    assert Path(fetched.value.path()).read_bytes().startswith(b"%PDF")


def health(scene: Scene) -> None:
    page = scene.page
    scene.rail("Incidents")
    page.get_by_role("link", name="VirusTotal").click()
    page.wait_for_url("/incidents/INC-*")
    _why_nothing(page, "1")
    expect(page.get_by_text("is closed.")).to_be_visible()
    scene.rail("Settings")
    page.locator("main").get_by_role("link", name="Health").first.click()
    lights = page.locator(".lights li")
    expect(lights).to_have_count(10)
    for light in lights.all():
        assert light.locator(".state-good, a.btn, code").count(), light.inner_text()
    scene.rail("Now")
    expect(page.locator(".needs li")).to_have_text([])
    expect(page.get_by_role("heading", level=1)).to_contain_text("Nothing needs you.")
    expect(page.locator(".health")).to_contain_text(["2 sources are alive"])
