// Small comforts on pages that work without them: theme, keys, times, copying, live parts, bulk ticks, held buttons.
(function () {
  "use strict";
  const root = document.documentElement;
  const $$ = (selector, within) => Array.from((within || document).querySelectorAll(selector));
  const lang = root.lang || "en";

  // --- theme -------------------------------------------------------------------------------------------------------
  const media = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => { try { return localStorage.getItem("tocsin-theme") || "system"; } catch { return "system"; } };
  function paint() {
    const theme = chosen();
    root.setAttribute("data-bs-theme", theme === "dark" || (theme === "system" && media.matches) ? "dark" : "light");
    $$("[data-theme]").forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.theme === theme)));
  }
  media.addEventListener("change", paint);

  // --- times: relative kept fresh, clock times and days in the reader's zone, UTC on hover ------------------------
  const relative = new Intl.RelativeTimeFormat(lang, { numeric: "always", style: "short" });
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const clock = new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit", hour12: false });
  const exact = new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false });
  const day = new Intl.DateTimeFormat(lang, { weekday: "short", day: "numeric", month: "short" });
  const soon = new Intl.DateTimeFormat(lang, { weekday: "short", hour: "2-digit", minute: "2-digit", hour12: false });
  const later = new Intl.DateTimeFormat(lang, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false });
  const when = (at) => (Math.abs(at - Date.now()) > 6 * 86400e3 ? later : at.toDateString() === new Date().toDateString() ? clock : soon).format(at);
  const full = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "medium", hour12: false });
  function ago(seconds) {
    const past = Math.abs(seconds);
    if (past < 5) return lang === "es" ? "ahora" : "just now";
    if (past < 60) return relative.format(Math.round(seconds), "second");
    if (past < 3600) return relative.format(Math.trunc(seconds / 60), "minute");
    if (past < 86400) return relative.format(Math.trunc(seconds / 3600), "hour");
    return relative.format(Math.trunc(seconds / 86400), "day");
  }
  function times(within) {
    $$("time[datetime]", within).forEach((element) => {
      const at = new Date(element.dateTime);
      if (isNaN(at)) return;
      const style = element.dataset.style;
      const text = style === "clock" ? clock.format(at) : style === "exact" ? exact.format(at) : style === "day" ? day.format(at) : style === "when" ? when(at)
        : style === "full" ? full.format(at) : ago((at - Date.now()) / 1000);
      if (element.textContent !== text) element.textContent = text;
      if (!element.dataset.zoned) { element.title += " · " + full.format(at) + " " + zone; element.dataset.zoned = "1"; }
    });
  }
  setInterval(() => { if (!document.hidden) times(); }, 15000);

  // --- saying something quietly -----------------------------------------------------------------------------------
  let toastTimer;
  function say(text) {
    const toast = document.getElementById("toast");
    if (!toast) return;
    toast.textContent = text;
    toast.classList.add("show");
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => toast.classList.remove("show"), 2200);
  }

  // What came in by itself is told to who listens instead of looking: the part's title, and how many are new there.
  function tell(part, many) {
    const heard = document.getElementById("heard");
    const title = part.querySelector("h1, h2")?.firstChild?.textContent.trim();
    if (heard && many && title) heard.textContent = title + ": " + many + " " + heard.dataset.fresh;
  }

  // --- clicks ------------------------------------------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-copy], [data-theme], [data-tick-all], [data-row]");
    $$("details.menu[open], details.more[open]").forEach((d) => { if (!d.contains(event.target)) d.open = false; });
    if (!target) return;
    if (target.dataset.copy !== undefined) {
      event.preventDefault();
      const done = () => say(lang === "es" ? "Copiado" : "Copied");
      if (navigator.clipboard) navigator.clipboard.writeText(target.dataset.copy).then(done);
      else {
        const area = document.createElement("textarea");
        area.value = target.dataset.copy; document.body.append(area); area.select();
        document.execCommand("copy"); area.remove(); done();
      }
    } else if (target.dataset.theme) {
      try { localStorage.setItem("tocsin-theme", target.dataset.theme); } catch { /* storage is off */ }
      paint();
    } else if (target.dataset.tickAll !== undefined) {
      $$("input[type=checkbox][name='" + target.dataset.tickAll + "']").forEach((box) => { box.checked = target.checked; });
      ticks();
    } else if (target.dataset.row && !event.target.closest("a, button, input, label, summary")) {
      location.href = target.dataset.row;
    }
  });

  // --- bulk actions show only while something is ticked -------------------------------------------------------------
  function ticks() {
    $$("[data-bulk]").forEach((bar) => {
      const n = $$("input[type=checkbox][name='" + bar.dataset.bulk + "']:checked").length;
      bar.classList.toggle("on", n > 0);
      $$("[data-ticked]", bar).forEach((element) => { element.textContent = String(n); });
    });
  }
  document.addEventListener("change", (event) => {
    if (event.target.matches("input[type=checkbox]")) ticks();
    if (event.target.dataset.submit !== undefined) event.target.form.requestSubmit();
  });

  // --- typed confirmation: the button wakes when the word is right; without script the server still asks for the answer ---
  document.addEventListener("input", (event) => {
    const word = event.target.dataset.confirm;
    if (word === undefined) return;
    $$("[data-confirmed]", event.target.form).forEach((b) => { b.disabled = event.target.value.trim() !== word; });
  });

  // --- instants typed in the reader's zone are sent with their offset -----------------------------------------------
  document.addEventListener("submit", (event) => {
    $$("input[type=datetime-local]", event.target).forEach((input) => {
      if (!input.value || !input.name) return;
      const hidden = document.createElement("input");
      hidden.type = "hidden"; hidden.name = input.name; hidden.value = new Date(input.value).toISOString();
      input.removeAttribute("name");
      event.target.append(hidden);
    });
  });

  // --- keys: / search, j k rows, Enter opens, x ticks, g then a letter goes, n writes a note, ? lists them ---------------
  let going = 0;
  const places = { n: "/", i: "/incidents", a: "/alerts", p: "/playbooks", o: "/oncall", r: "/reports", j: "/journal", s: "/settings" };
  function step(by) {
    const rows = $$("[data-row]");
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.classList.contains("at"));
    rows.forEach((row) => row.classList.remove("at"));
    const row = rows[Math.max(0, Math.min(rows.length - 1, at + by))];
    row.classList.add("at");
    (row.querySelector("a") || row).focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]");
    if (event.target.closest("dialog[open]")) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.dataset.send !== undefined) { event.preventDefault(); event.target.form.requestSubmit(); return; }
    if (event.key === "Escape") {
      const left = $$("details.menu[open], details.more[open]").filter((d) => { d.open = false; return d.contains(event.target); })[0];
      if (left) left.querySelector("summary").focus(); else if (typing) typing.blur();
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (Date.now() - going < 1200 && places[event.key]) { location.href = places[event.key]; return; }
    if (event.key === "/") { event.preventDefault(); document.getElementById("search")?.focus(); }
    else if (event.key === "g") going = Date.now();
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "x") {
      const box = document.querySelector("[data-row].at input[type=checkbox]");
      if (box) { box.checked = !box.checked; ticks(); }
    } else {
      const button = document.querySelector("[data-key='" + CSS.escape(event.key) + "']");
      if (button) { event.preventDefault(); if (button.matches("textarea, input, select")) { for (let d = button.closest("details"); d; d = d.parentElement.closest("details")) d.open = true; button.focus(); } else button.click(); }
    }
  });

  // --- live: only a visible page listens; a part with data-live is fetched again when one of its topics changed ----------
  let source = null;
  let missed = false;
  const parts = () => $$("[data-live]");
  const topics = () => [...new Set(parts().flatMap((p) => p.dataset.live.split(" ")))];
  const busy = (part) => part.contains(document.activeElement) && document.activeElement.matches("textarea, input:not([type=checkbox]), select")
    || part.querySelector("details[open] form, input[type=checkbox][name]:checked:not([data-self])");
  function refresh(part) {
    if (busy(part)) { part.dataset.late = "1"; return; }
    part.dispatchEvent(new Event("live"));
  }
  function listen() {
    const wanted = topics();
    if (!wanted.length || !window.EventSource || document.hidden) return;
    source?.close();
    source = new EventSource("/live?topics=" + encodeURIComponent(wanted.join(",")) + "&since=" + document.body.dataset.at);
    source.addEventListener("changed", (event) => {
      const changed = event.data.split(" ");
      parts().forEach((part) => { if (part.dataset.live.split(" ").some((t) => changed.includes(t))) refresh(part); });
    });
    source.onopen = () => { root.classList.remove("offline"); if (missed) { missed = false; parts().forEach(refresh); } };
    source.onerror = () => { missed = true; root.classList.add("offline"); };
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { source?.close(); source = null; missed = true; } else { times(); listen(); }
  });
  document.addEventListener("focusout", () => setTimeout(() => {
    $$("[data-live][data-late]").forEach((part) => { if (!busy(part)) { delete part.dataset.late; refresh(part); } });
  }, 200));
  addEventListener("pagehide", () => source?.close());

  // New content: times in the reader's zone, and a quiet highlight on what was not there before.
  const seen = new WeakMap();

  // What somebody has begun to fill in outlives the part around it being replaced; only what was sent is let go.
  const twoState = (field) => field.type === "checkbox" || field.type === "radio";
  const nameOf = (field) => [field.form?.getAttribute("action"), field.name, twoState(field) ? field.value : ""].join(" ");
  const begun = (field) => twoState(field) ? field.checked !== field.defaultChecked
    : field.matches("select") ? field.selectedIndex !== Math.max(0, Array.from(field.options).findIndex((o) => o.defaultSelected))
    : field.value !== field.defaultValue;
  const fields = (part) => $$("input[name]:not([type=hidden], [type=password]), textarea[name], select[name]", part);
  let unsent = new Map();
  document.addEventListener("htmx:beforeSwap", (event) => {
    const sent = event.detail.requestConfig?.elt;
    unsent = new Map(fields(event.detail.target).filter((f) => f.form && f.form !== sent && begun(f))
      .map((f) => [nameOf(f), twoState(f) ? f.checked : f.value]));
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const part = event.detail.elt?.isConnected ? event.detail.elt : event.detail.target;
    if (unsent.size) fields(part).filter((f) => unsent.has(nameOf(f))).forEach((f) => {
      if (twoState(f)) f.checked = unsent.get(nameOf(f)); else f.value = unsent.get(nameOf(f));
    });
    unsent = new Map();
  });
  // Whoever was at a button or a link of a part that is replaced is there again; at the part itself when it is gone.
  const like = (e) => [e.tagName, e.getAttribute("href"), e.name, e.form?.getAttribute("action"), e.textContent.trim()].join(" ");
  const alike = (part, what) => $$("a[href], button, summary, [tabindex]", part).filter((e) => like(e) === what);
  let left = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const part = event.detail.target, on = document.activeElement;
    left = part.id && part !== on && part.contains(on) ? { part: part.id, what: like(on), place: alike(part, like(on)).indexOf(on) } : null;
  });
  document.addEventListener("htmx:afterSwap", () => {
    const part = left && document.getElementById(left.part);
    if (!part || part.contains(document.activeElement)) return;
    const same = alike(part, left.what);
    const again = same[Math.min(Math.max(left.place, 0), same.length - 1)];
    left = null;
    if (again?.checkVisibility()) again.focus({ preventScroll: true });
    else { part.tabIndex = -1; part.focus({ preventScroll: true }); }
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const target = event.detail.target;
    if (target.dataset.live !== undefined) seen.set(document.body, new Set($$("[data-item]", target).map((e) => e.dataset.item)));
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const part = event.detail.elt?.isConnected ? event.detail.elt : event.detail.target;
    const before = seen.get(document.body);
    times(part); sleepers();
    const fresh = before ? $$("[data-item]", part).filter((e) => !before.has(e.dataset.item)) : [];
    fresh.forEach((e) => e.classList.add("fresh"));
    tell(part, fresh.length);
    seen.delete(document.body);
    ticks();
  });

  function sleepers() {
    $$("[data-confirm]").forEach((i) => $$("[data-confirmed]", i.form).forEach((b) => { b.disabled = i.value.trim() !== i.dataset.confirm; }));
  }
  // Where one is in a row of tabs that is wider than its screen.
  $$(".tabs").forEach((row) => {
    const here = row.querySelector(".here");
    if (here) row.scrollLeft = here.offsetLeft - row.offsetLeft - (row.clientWidth - here.offsetWidth) / 2;
  });
  paint(); times(); ticks(); sleepers(); listen();
})();
