// Debian's Chromium, driven by playwright-core. BRAID_URL names the server.
import { chromium } from "playwright-core";

export const base = (process.env.BRAID_URL ?? "http://127.0.0.1:4320").replace(/\/$/, "");

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

/** A page that remembers what went wrong in it and which other hosts it asked. */
export async function open(browser, { width = 1280, height = 900, theme = "dark" } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    permissions: ["clipboard-read", "clipboard-write"],
  });
  await context.addInitScript((t) => {
    if (!localStorage.getItem("braid.settings")) localStorage.setItem("braid.settings", JSON.stringify({ theme: t }));
  }, theme);
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

export async function settled(page) {
  await page.locator("main h1, main .split").first().waitFor();
  await page.waitForLoadState("networkidle", { timeout: 15_000 }).catch(() => {});
  await page
    .waitForFunction(() => !document.querySelector('.loading[data-on="true"]'), undefined, { timeout: 20_000 })
    .catch(() => {});
}

export const ask = async (path) => (await fetch(base + path)).json();
