// Ctrl-K: go to a page, open an incident by its key, search, or do what the present page offers. ?: what the keys do.
(function () {
  "use strict";
  const palette = document.getElementById("palette");
  const help = document.getElementById("keys");
  if (!palette || !help) return;
  const input = palette.querySelector("input");
  const list = palette.querySelector("[role=listbox]");
  const places = Array.from(list.children).map((item) => ({ label: item.textContent.trim(), href: item.dataset.go, kind: list.dataset.go }));
  const words = (element) => (element.getAttribute("aria-label") || element.placeholder || element.textContent || "").replace(/\s+/g, " ").trim();
  let shown = [];
  let at = 0;

  // What the page offers: its head's buttons, its menus' links, and whatever has a key.
  function offered() {
    const found = document.querySelectorAll("main [data-key], main .page-actions > a, main .page-actions > form > button, main .menu-panel > a, main .menu-item");
    return Array.from(new Set(found)).filter((element) => !element.disabled && words(element))
      .map((element) => ({ label: words(element), element: element, kind: list.dataset.here, key: element.dataset.key }));
  }

  function render() {
    const asked = input.value.trim();
    const parts = asked.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (entry) => parts.every((part) => entry.label.toLowerCase().includes(part));
    const search = { label: list.dataset.search + " “" + asked + "”", href: "/search?q=" + encodeURIComponent(asked), kind: "" };
    shown = [...offered(), ...places].filter(fits).slice(0, 40);
    if (asked) { if (/^(inc-)?[\d-]+$/i.test(asked) || !shown.length) shown.unshift(search); else shown.push(search); }
    at = Math.max(0, Math.min(at, shown.length - 1));
    list.replaceChildren(...shown.map((entry, place) => {
      const item = document.createElement("li");
      item.id = "palette-" + place;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(place === at));
      const label = document.createElement("span");
      label.textContent = entry.label;
      const kind = document.createElement("span");
      kind.className = "quiet small";
      kind.textContent = entry.kind;
      item.append(label, kind);
      if (entry.key) { const key = document.createElement("kbd"); key.textContent = entry.key; item.append(key); }
      item.addEventListener("click", () => run(entry));
      return item;
    }));
    input.setAttribute("aria-activedescendant", shown.length ? "palette-" + at : "");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  }

  function run(entry) {
    palette.close();
    if (!entry) return;
    if (entry.href) location.href = entry.href;
    else if (entry.element.matches("textarea, input")) entry.element.focus();
    else entry.element.click();
  }

  function open() {
    if (palette.open) return;
    help.close();
    input.value = "";
    at = 0;
    palette.showModal();
    render();
    input.focus();
  }

  function explain() {
    const here = help.querySelector("[data-here]");
    const rows = offered().filter((entry) => entry.key).map((entry) => {
      const row = document.createElement("tr");
      const key = document.createElement("td");
      const says = document.createElement("td");
      const letter = document.createElement("kbd");
      letter.textContent = entry.key;
      key.append(letter);
      says.textContent = entry.label;
      row.append(key, says);
      return row;
    });
    here.hidden = !rows.length;
    here.querySelector("tbody").replaceChildren(...rows);
    help.showModal();
  }

  input.addEventListener("input", () => { at = 0; render(); });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); at = (at + step + shown.length) % Math.max(1, shown.length); render(); }
    else if (event.key === "Enter") { event.preventDefault(); run(shown[at]); }
  });
  [palette, help].forEach((dialog) => dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); }));
  document.querySelectorAll("[data-palette]").forEach((button) => { button.hidden = false; button.addEventListener("click", open); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "k" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); open(); return; }
    if (event.key !== "?" || event.ctrlKey || event.metaKey || palette.open || help.open) return;
    if (event.target.closest("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]")) return;
    event.preventDefault();
    explain();
  });
})();
