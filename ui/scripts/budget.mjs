// Holds the first load to its budget: the entry script and everything that it
// imports statically (Vite names those in index.html), gzipped.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const budget = 300_000;
const app = new URL("../dist/app/", import.meta.url).pathname;
const index = gunzipSync(readFileSync(`${app}index.html.gz`)).toString();
const first = [...index.matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g)].map((m) => m[1]);
if (first.length === 0) throw new Error("index.html names no script: was it built by vite build?");
let total = 0;
for (const f of first) {
  const size = statSync(`${app}${f}.gz`).size;
  total += size;
  console.log(`${String(size).padStart(8)}  ${f}`);
}
const all = readdirSync(`${app}assets`).reduce((n, f) => n + statSync(`${app}assets/${f}`).size, 0);
console.log(`${String(total).padStart(8)}  first load (budget ${budget}); everything ${all}`);
if (total > budget) {
  console.error(
    `The first load is ${total - budget} bytes over its budget: load the page that grew lazily (src/router.tsx).`,
  );
  process.exit(1);
}
