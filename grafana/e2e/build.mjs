// Builds the test page: Grafana's packages, and what gives them to the plugin.
import { cp, readdir, rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { build } from "esbuild";

const root = resolve(import.meta.dirname, "..");
const out = process.argv[2] ?? resolve(root, "dist-e2e");

await rm(out, { recursive: true, force: true });
await build({
  entryPoints: { page: resolve(root, "e2e/harness/page.tsx") },
  bundle: true,
  outdir: out,
  format: "esm",
  splitting: true,
  target: "chrome120",
  jsx: "automatic",
  loader: { ".ttf": "dataurl", ".svg": "dataurl" },
  define: { "process.env.NODE_ENV": '"production"', global: "globalThis" },
  minify: true,
  logLevel: "error",
});
// The plugin as it was built, where Grafana has it, and Grafana's icons.
await cp(resolve(root, "dist/module.js"), resolve(out, "public/plugins/braid-datasource/module.js"));
await cp(resolve(root, "node_modules/@grafana/ui/dist/public/img/icons"), resolve(out, "public/build/img/icons"), {
  recursive: true,
});
const styles = (await readdir(out)).filter((name) => name.endsWith(".css"));
await writeFile(
  resolve(out, "index.html"),
  `<!doctype html><meta charset="utf-8"><title>Braid in Grafana</title><link rel="icon" href="data:,">${styles.map((s) => `<link rel="stylesheet" href="/${s}">`).join("")}<script>window.grafanaBootData = { settings: {}, user: {}, navTree: [] };</script><div id="root"></div><script type="module" src="/page.js"></script>`,
);
