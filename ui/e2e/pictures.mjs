// The pictures of the README and of docs/, taken anew from a running server that
// braid generate --incident feeds: test/e2e/run.sh pictures does all of it.
import { mkdirSync } from "node:fs";
import { ask, launch, open, visit } from "./browser.mjs";

const dir = new URL("../../docs/images/", import.meta.url).pathname;
mkdirSync(dir, { recursive: true });
const end = Math.floor(Date.now() / 1000);
const traces = async (q) =>
  (await ask(`/api/search?q=${encodeURIComponent(q)}&limit=50&start=${end - 3900}&end=${end}`)).traces ?? [];
// A checkout that waited for the bank: spans, logs and errors of many services.
const slow = await traces('{ name = "POST /checkout" && duration > 1s }');
const failed = await traces('{ name = "POST /checkout" && status = error }');
const id = (slow[0] ?? failed[0])?.traceID;
if (!id) throw new Error("no checkout was found: is braid generate --incident running?");

const pictures = {
  request: `/request/${id}`,
  services: "/map",
};
const wanted = process.argv.slice(2);
const browser = await launch();
for (const [name, path] of Object.entries(pictures)) {
  if (wanted.length && !wanted.includes(name)) continue;
  const { context, page, problems } = await open(browser, { width: 1400, height: 800, theme: "dark" });
  await visit(page, path);
  await page.waitForTimeout(500);
  await page.screenshot({ path: `${dir}${name}.png` });
  for (const p of new Set(problems)) console.error(`${name}: ${p.slice(0, 300)}`);
  console.log(`docs/images/${name}.png`);
  await context.close();
}
await browser.close();
