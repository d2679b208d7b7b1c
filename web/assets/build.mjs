// Copies the browser assets we use out of node_modules, purged of what no template mentions.
// Run by `make assets` after a template uses a new Tabler class or icon; the result is committed.
import { mkdirSync, readFileSync, writeFileSync, copyFileSync, readdirSync, statSync, existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { PurgeCSS } from "purgecss";

const here = dirname(fileURLToPath(import.meta.url));
const web = dirname(here);
const modules = join(here, "node_modules");
const vendor = join(web, "static", "vendor");

const walk = (folder) => readdirSync(folder).flatMap((name) => {
  const path = join(folder, name);
  return statSync(path).isDirectory() ? walk(path) : [path];
});
const version = (name) => JSON.parse(readFileSync(join(modules, name, "package.json"))).version;
const sources = [...walk(join(web, "templates")), ...walk(join(web, "routes")).filter((f) => f.endsWith(".py")),
  ...readdirSync(web).filter((f) => f.endsWith(".py")).map((f) => join(web, f)), join(web, "static", "tocsin.js")];
const text = sources.map((file) => readFileSync(file, "utf8")).join("\n");

// Tabler: only the rules whose classes, ids and elements occur in our templates.
mkdirSync(join(vendor, "tabler"), { recursive: true });
const [purged] = await new PurgeCSS().purge({
  content: [{ raw: text, extension: "html" }],
  css: [join(modules, "@tabler/core/dist/css/tabler.min.css")],
  defaultExtractor: (content) => content.match(/[\w-/:]+(?<!:)/g) || [],
  safelist: { standard: ["html", "body", "dark", "light", "root"], greedy: [] },
  variables: true, keyframes: true, fontFace: true,
});
const banner = `/*! Tabler ${version("@tabler/core")}, MIT, see LICENSE; purged by web/assets/build.mjs */\n`;
writeFileSync(join(vendor, "tabler", "tabler.min.css"),
  banner + purged.css.replace(/\/\*#.*?\*\//gs, "").replace(/@charset "UTF-8";/, ""));
writeFileSync(join(vendor, "tabler", "LICENSE"), readFileSync(join(here, "licences", "tabler.txt")));

mkdirSync(join(vendor, "htmx"), { recursive: true });
copyFileSync(join(modules, "htmx.org/dist/htmx.min.js"), join(vendor, "htmx", "htmx.min.js"));
copyFileSync(join(modules, "htmx.org/LICENSE"), join(vendor, "htmx", "LICENSE"));

mkdirSync(join(vendor, "inter"), { recursive: true });
for (const part of ["latin", "latin-ext"])
  copyFileSync(join(modules, `@fontsource-variable/inter/files/inter-${part}-wght-normal.woff2`), join(vendor, "inter", `inter-${part}.woff2`));
copyFileSync(join(modules, "@fontsource-variable/inter/LICENSE"), join(vendor, "inter", "LICENSE"));

// Icons: one sprite with the symbols named as icon("…"), icon="…", glyph="…" or in a ["tone", "icon"] pair.
mkdirSync(join(vendor, "tabler-icons"), { recursive: true });
const named = /(?:(?:icon|glyph)(?:\(|=|:\s*)|[[(]["'](?:good|warn|bad|wait|plain|accent|info|ahead)["'],\s*)["']([a-z][a-z0-9-]*)["']/g;
const names = [...new Set([...text.matchAll(named)].map((m) => m[1]))].sort();
const symbols = names.map((name) => {
  const file = join(modules, "@tabler/icons/icons/outline", `${name}.svg`);
  if (!existsSync(file)) throw new Error(`no Tabler icon named "${name}"; look at https://tabler.io/icons`);
  const inner = readFileSync(file, "utf8").replace(/<!--[\s\S]*?-->/g, "").replace(/<svg[\s\S]*?>/, "").replace("</svg>", "")
    .replace(/<path stroke="none" d="M0 0h24v24H0z" fill="none"\s*\/>/, "").replace(/\s+/g, " ").trim();
  return `<symbol id="${name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round">${inner}</symbol>`;
});
writeFileSync(join(vendor, "tabler-icons", "icons.svg"),
  `<svg xmlns="http://www.w3.org/2000/svg"><!-- Tabler Icons ${version("@tabler/icons")}, MIT -->\n${symbols.join("\n")}\n</svg>\n`);
copyFileSync(join(modules, "@tabler/icons/LICENSE"), join(vendor, "tabler-icons", "LICENSE"));
console.log(`tabler.min.css ${(purged.css.length / 1024).toFixed(0)} KiB, ${names.length} icons`);
