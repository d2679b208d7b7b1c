// Lets this browser be rung: registers the worker, subscribes, and sends the subscription with the form the button is in.
(function () {
  "use strict";
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const bytes = (written) => Uint8Array.from(atob(written.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const able = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

  function named() {
    const agent = navigator.userAgent;
    const browser = /Firefox\//.test(agent) ? "Firefox" : /Edg\//.test(agent) ? "Edge" : /Chrom/.test(agent) ? "Chrome" : /Safari\//.test(agent) ? "Safari" : "Browser";
    const system = /Android/.test(agent) ? "Android" : /iPhone|iPad/.test(agent) ? "iPhone" : /Windows/.test(agent) ? "Windows" : /Mac OS/.test(agent) ? "macOS" : "Linux";
    return browser + " on " + system;
  }

  async function subscribe(form) {
    if (await Notification.requestPermission() !== "granted") throw new Error("refused");
    const answer = await fetch("/profile/push-key", { method: "POST", headers: { "X-CSRF-Token": form.elements.csrf.value } });
    if (!answer.ok) throw new Error("no key");
    const key = bytes((await answer.json()).key);
    await navigator.serviceWorker.register("/push-worker.js");
    const worker = await navigator.serviceWorker.ready;
    const former = await worker.pushManager.getSubscription();
    if (former && text(former.options.applicationServerKey) !== text(key)) await former.unsubscribe();
    const made = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
    form.elements["address.url"].value = made.endpoint;
    form.elements["address.p256dh"].value = text(made.getKey("p256dh"));
    form.elements["address.auth"].value = text(made.getKey("auth"));
    form.elements["address.browser"].value = named();
    form.submit();
  }

  document.querySelectorAll("[data-push]").forEach((button) => {
    const told = button.form.querySelector("[data-push-said]");
    if (!able) { told.textContent = button.dataset.unable; return; }
    button.disabled = false;
    button.addEventListener("click", async () => {
      button.disabled = true;
      told.textContent = "";
      try {
        await subscribe(button.form);
      } catch (error) {
        told.textContent = error.message === "refused" ? button.dataset.refused : button.dataset.failed;
        button.disabled = false;
      }
    });
  });
})();
