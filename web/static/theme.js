// Applies the reader's theme before the first paint; the switch itself is in tocsin.js.
(function () {
  "use strict";
  var wanted = "system";
  try { wanted = localStorage.getItem("tocsin-theme") || "system"; } catch (e) { /* storage is off */ }
  var dark = wanted === "dark" || (wanted === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-bs-theme", dark ? "dark" : "light");
})();
