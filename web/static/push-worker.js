// Shows pushes and opens the page they are about. It keeps nothing, fetches nothing and acknowledges nothing.
"use strict";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  let told = {};
  try { told = event.data.json(); } catch { /* a push without a payload still says that there is something */ }
  event.waitUntil(self.registration.showNotification(told.title || "Tocsin", {
    body: told.body || "", tag: told.tag || "tocsin", renotify: true, requireInteraction: Boolean(told.loud),
    icon: "/static/mark.svg", badge: "/static/mark.svg", data: { url: told.url || "/" },
  }));
});

// A tap opens our page, where a person reads and then decides.
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const wanted = new URL(event.notification.data.url, self.location.origin);
  const url = wanted.origin === self.location.origin ? wanted.href : self.location.origin + "/pages";
  event.waitUntil((async () => {
    const open = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
    const same = open.find((one) => one.url === url);
    return same ? same.focus() : self.clients.openWindow(url);
  })());
});
