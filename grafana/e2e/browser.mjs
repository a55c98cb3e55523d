// Debian's Chromium, driven by playwright-core. BRIDGE_URL names the bridge.
import { chromium } from "playwright-core";

export const base = process.env.BRIDGE_URL ?? "http://127.0.0.1:47340";

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"],
  });

/** Opens a view of the test page; what went wrong in it is collected. */
export async function open(browser, params, { width = 1200, height = 800 } = {}) {
  const page = await browser.newPage({ viewport: { width, height } });
  // Generous: the machine may be busy with other tests.
  page.setDefaultTimeout(60_000);
  page.problems = [];
  // Fonts and one picture are Grafana's server's own, in no package.
  const absent = /\/public\/(fonts\/|build\/img\/icons\/unicons\/spinner\.svg)/;
  page.on(
    "console",
    (m) => m.type() === "error" && !m.text().startsWith("Failed to load resource") && page.problems.push(m.text()),
  );
  page.on(
    "response",
    (r) => r.status() >= 400 && !absent.test(r.url()) && page.problems.push(`${r.status()} ${r.url()}`),
  );
  page.on("pageerror", (e) => page.problems.push(String(e)));
  page.on(
    "request",
    (r) => !r.url().startsWith(base) && !/^(data|blob):/.test(r.url()) && page.problems.push(`asked ${r.url()}`),
  );
  await page.goto(`${base}/?${new URLSearchParams(params)}`);
  return page;
}

/** The JSON that the test page shows for the test. */
export async function shown(page, id) {
  return JSON.parse(await page.getByTestId(id).textContent());
}

/** Chooses in a combobox: opens it, types, takes the option. */
export async function choose(page, label, value) {
  const box = page.getByRole("combobox", { name: label, exact: true });
  await box.click();
  await box.fill(value);
  await page.getByRole("option", { name: value, exact: false }).first().click();
}
