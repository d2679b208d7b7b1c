"""Web Push in a real Chromium: the worker registers under our policy, the browser subscribes and is rung, a tap only opens."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import page_audit
import pytest
from accounts import ADMIN, PASSWORD, installed
from cryptography.hazmat.primitives.asymmetric import ec
from free_ports import wait_until
from in_chromium import CHROMIUM, PHONE, QUIET, Person
from playwright.sync_api import Browser, BrowserContext, expect
from running_tocsin import Tocsin
from vendor_server import Answer, Vendor

from notify import web_push

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# The browser maker's push service is far away; in its place stands ours, with keys of a browser.
SUBSCRIBES = """({url, p256dh, auth}) => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0)).buffer;
  PushManager.prototype.subscribe = async (options) => {
    window.subscribedTo = options;
    return { endpoint: url, getKey: (name) => bytes(name === "auth" ? auth : p256dh) };
  };
}"""

# Chromium forgets a notification that nobody's desktop shows; so the worker's own call is kept, once the browser has taken it.
KEEPS = """(() => {
  const show = self.registration.showNotification.bind(self.registration);
  self.kept = [];
  self.registration.showNotification = async (title, options) => {
    await show(title, options);
    self.kept.push([title, options.data.url]);
  };
})()"""


def installable(context: BrowserContext, address: str) -> None:
    """Chromium finds nothing against installing it, and every icon is a picture of the size that the manifest says."""
    page = context.new_page()
    page.goto(address)
    page.wait_for_load_state()
    devtools = context.new_cdp_session(page)
    wait_until(lambda: devtools.send("Page.getAppManifest")["url"], what="the manifest")
    assert devtools.send("Page.getAppManifest")["errors"] == []
    assert devtools.send("Page.getInstallabilityErrors")["installabilityErrors"] == []
    manifest = page.request.get(f"{address}/manifest.webmanifest").json()
    pictures = [one for one in manifest["icons"] if one["type"] == "image/png"]
    assert sorted((one["sizes"], one["purpose"]) for one in pictures) == [
        ("192x192", "any"), ("192x192", "maskable"), ("512x512", "any"), ("512x512", "maskable"),
    ]  # fmt: skip
    for one in pictures:
        body = page.request.get(address + one["src"]).body()
        assert body.startswith(b"\x89PNG")
        assert "{}x{}".format(*struct.unpack(">II", body[16:24])) == one["sizes"]


def test_a_browser_is_rung(
    chromium: Browser, tocsin: Callable[..., Tocsin], vendor: Vendor, tmp_path: Path
) -> None:
    running = tocsin()
    running.url = running.env["TOCSIN_BASE_URL"] = f"http://localhost:{running.port}"
    running.env["TOCSIN_EGRESS_ALLOW"] = "127.0.0.1"
    installed(running)
    vendor.answer("POST", "/push", Answer(201))
    ana = Person(chromium, running, viewport=PHONE, permissions=["notifications"], reduced_motion="reduce")
    key = web_push.text(web_push.point(ec.generate_private_key(ec.SECP256R1())))
    given = json.dumps({"url": f"{vendor.url}/push", "p256dh": key, "auth": web_push.text(bytes(16))})
    ana.context.add_init_script(f"({SUBSCRIBES})({given})")
    ana.sign_in(ADMIN, PASSWORD)
    page = ana.page
    devtools = page.context.new_cdp_session(page)
    registrations: list[str] = []
    devtools.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda told: registrations.extend(one["registrationId"] for one in told["registrations"]),
    )
    devtools.send("ServiceWorker.enable")
    # A browser of its own: in the others everything is as in a private window, where nothing can be installed.
    kept = chromium.browser_type.launch_persistent_context(tmp_path / "profile", executable_path=CHROMIUM, args=QUIET)
    kept.add_cookies(ana.context.cookies())  # type: ignore[arg-type]  # what it gives is what it takes
    installable(kept, running.url)
    kept.close()
    page.goto("/profile")
    page.get_by_text("Push to this browser", exact=True).click()
    page.get_by_role("button", name="Let this browser ring").click()
    expect(page.locator("#contacts")).to_contain_text("Chrome on Linux, 127.0.0.1")
    page.locator("#contacts").get_by_role("button", name="Test").click()
    [call] = vendor.wait_for(1)
    assert call.headers["Content-Encoding"] == "aes128gcm"
    worker = page.evaluate("navigator.serviceWorker.ready.then((one) => one.active.scriptURL)")
    assert worker == f"{running.url}/push-worker.js"

    told = {
        "title": "CRITICAL: it rings",
        "body": "two lines",
        "url": f"{running.url}/pages",
        "tag": "t",
        "loud": True,
    }
    wait_until(lambda: page.evaluate("1") and registrations and page.context.service_workers, what="the worker")
    message = {"origin": running.url, "registrationId": registrations[-1], "data": json.dumps(told)}
    [rings] = page.context.service_workers
    rings.evaluate(KEEPS)
    devtools.send("ServiceWorker.deliverPushMessage", message)
    wait_until(lambda: rings.evaluate("self.kept"), what="the notification")
    assert rings.evaluate("self.kept") == [["CRITICAL: it rings", f"{running.url}/pages"]]
    manifest = devtools.send("Page.getAppManifest")
    assert not manifest["errors"]
    assert json.loads(manifest["data"])["display"] == "standalone"
    for theme in ("light", "dark"):
        page_audit.paint(page, theme)
        assert not page_audit.broken_rules(page)
        assert not page_audit.too_wide(page)
    ana.close()
