// Debian's Chromium, driven by playwright-core. BRAID_URL names the server.
//
// The tests run on fast and on slow machines, beside data that keeps coming:
// they wait for what they need to see, and take requests that are minutes old.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test as once } from "node:test";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

export const base = (process.env.BRAID_URL ?? "http://127.0.0.1:4320").replace(/\/$/, "");

/**
 * A test that is tried a second time before it counts as failed, and says so: a
 * machine that runs every test at once may starve a browser. What is broken
 * fails twice.
 */
export const test = (name, options, run) =>
  once(name, options, async (t) => {
    try {
      await run(t);
    } catch (e) {
      console.log(`tried again: ${name}: ${e}`);
      await run(t);
    }
  });

/** How long a slow machine may take for one thing, milliseconds. */
const patience = 60_000;

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });

/** Counts the requests of a page that have no answer yet. */
function countRequests() {
  const real = window.fetch;
  window.__asked = 0;
  window.fetch = async (...args) => {
    window.__asked++;
    try {
      return await real(...args);
    } finally {
      window.__asked--;
    }
  };
}

/** A page that remembers what went wrong in it and which other hosts it asked. */
export async function open(browser, { width = 1280, height = 900, theme = "dark", tenant = "" } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    permissions: ["clipboard-read", "clipboard-write"],
    acceptDownloads: true,
  });
  context.setDefaultTimeout(patience);
  await context.addInitScript(
    (s) => {
      if (!localStorage.getItem("braid.settings")) localStorage.setItem("braid.settings", JSON.stringify(s));
    },
    { theme, tenant },
  );
  await context.addInitScript(countRequests);
  const page = await context.newPage();
  const problems = [];
  const foreign = [];
  page.on("console", (m) => m.type() === "error" && problems.push(m.text()));
  page.on("pageerror", (e) => problems.push(String(e)));
  page.on("response", (r) => r.status() >= 400 && problems.push(`${r.status()} ${r.url()}`));
  page.on(
    "request",
    (r) =>
      !r.url().startsWith(base) &&
      !/^(data|blob):/.test(r.url()) &&
      !r.url().startsWith(base.replace("http", "ws")) &&
      foreign.push(r.url()),
  );
  return { context, page, problems, foreign };
}

/** Goes to a page and waits until nothing is being asked any more. */
export async function visit(page, path) {
  await page.goto(base + path);
  await settled(page);
}

/** Waits until the page asks for nothing and shows no progress, several looks in a row: one answer may lead to the next question. */
export async function settled(page) {
  const calm = () => {
    const busy =
      !document.querySelector("main h1, main .split") ||
      window.__asked > 0 ||
      document.querySelector('.loading[data-on="true"]:not([data-example] *)');
    window.__calm = busy ? 0 : (window.__calm ?? 0) + 1;
    return window.__calm > 6;
  };
  await page.evaluate(() => {
    window.__calm = 0;
  });
  await page.waitForFunction(calm, undefined, { polling: 50 });
}

export const params = (page) => new URL(page.url()).searchParams;

/** Waits until a parameter of the address is as wanted. */
export const param = (page, name, wanted) =>
  page.waitForURL((url) => {
    const v = url.searchParams.get(name);
    return typeof wanted === "function" ? wanted(v) : wanted instanceof RegExp ? wanted.test(v ?? "") : v === wanted;
  });

/** Does something until its effect is there: a press or a click hits nothing while a page redraws itself. */
export async function until(act, done, tries = 20) {
  for (let i = 0; i < tries; i++) {
    await act(i);
    const end = Date.now() + 2000;
    while (Date.now() < end) {
      if (await done()) return;
      await new Promise((next) => setTimeout(next, 50));
    }
  }
  assert.fail(`no effect after ${tries} tries of ${act}`);
}

/** Drags from one place of an element to another; places are pixels, or parts of its size when below 1. */
export async function drag(page, locator, [x0, y0], [x1, y1]) {
  await locator.scrollIntoViewIfNeeded();
  const box = await locator.boundingBox();
  const x = (v) => box.x + (v < 1 ? v * box.width : v);
  const y = (v) => box.y + (v < 1 ? v * box.height : v);
  await page.mouse.move(x(x0), y(y0));
  await page.mouse.down();
  await page.mouse.move(x(x1), y(y1), { steps: 6 });
  await page.mouse.up();
}

/** What a button puts on the clipboard: read when the page says that it is there. */
export async function copied(page, act, said) {
  await page.evaluate(() => navigator.clipboard.writeText(""));
  await act();
  await page.locator(".toast").filter({ hasText: said }).last().waitFor();
  return page.evaluate(() => navigator.clipboard.readText());
}

/** The file that a button saves: its name and its bytes. */
export async function saved(page, act) {
  const [download] = await Promise.all([page.waitForEvent("download"), act()]);
  const chunks = [];
  for await (const c of await download.createReadStream()) chunks.push(c);
  return { name: download.suggestedFilename(), bytes: Buffer.concat(chunks) };
}

/** Runs a command as a shell would, and reads its answer as JSON. */
export async function shell(command) {
  const { stdout } = await promisify(execFile)("sh", ["-c", command.replace(/^curl /, "curl -sS --fail ")], {
    maxBuffer: 256 << 20,
    timeout: patience,
  });
  return JSON.parse(stdout);
}

export const ask = async (path, init) => (await fetch(base + path, init)).json();

const spansOf = (t) => Object.values(t.serviceStats ?? {}).reduce((n, s) => n + (s.spanCount ?? 0), 0);

/**
 * Traces that a query finds in the last hour but for its last minutes: whole
 * ones, whose spans have all arrived. Those of most spans come first.
 */
export async function oldTraces(q) {
  const end = Math.floor(Date.now() / 1000) - 120;
  const found = await ask(`/api/search?q=${encodeURIComponent(q)}&limit=50&start=${end - 3600}&end=${end}`);
  const list = (found.traces ?? []).sort((a, b) => spansOf(b) - spansOf(a) || (a.traceID < b.traceID ? -1 : 1));
  assert.ok(list.length > 0, `the server holds no trace of ${q}: was it fed by braid generate --incident?`);
  return list;
}

/** A checkout that failed, and one that did not. */
export const failedCheckout = async () => (await oldTraces('{ name = "POST /checkout" && status = error }'))[0].traceID;
export const goodCheckout = async () => (await oldTraces('{ name = "POST /checkout" && status != error }'))[0].traceID;
