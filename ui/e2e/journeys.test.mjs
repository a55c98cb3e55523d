// What people come for, from the first click to the answer, on the real server fed by braid generate --incident.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { ask, goodCheckout, launch, open, param, params, settled, test, until, visit } from "./browser.mjs";

let browser;
const end = Math.floor(Date.now() / 1000);

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

function journey(name, run, options = {}) {
  test(name, { timeout: 300_000 }, async () => {
    const o = await open(browser, options);
    try {
      await run(o.page, o);
      assert.deepEqual([...new Set(o.problems)], []);
      assert.deepEqual(o.foreign, []);
    } finally {
      await o.context.close();
    }
  });
}

async function search(page, text) {
  await page.locator("main").click({ position: { x: 2, y: 2 } });
  await page.keyboard.press("/");
  await page.keyboard.insertText(text);
}

journey("from a page on an alert to the cause, without typing a query", async (page) => {
  await visit(page, "/");
  // It may be over by the time that one looks: then home names it among those that fired.
  await page.getByRole("link", { name: "CheckoutFails" }).first().click();
  await page.waitForURL(/\/alerting/);
  // The evidence was gathered when it fired: the requests behind it are one click away.
  const behind = page.getByRole("table", { name: "Requests behind the alert" }).first();
  await behind.waitFor();
  await behind.getByRole("row").filter({ hasText: "error" }).first().getByRole("link").first().click();
  await page.waitForURL(/\/request\//);
  await page.getByRole("treeitem").first().waitFor();
  // The service that the request waited for is named before anything is opened.
  await page.getByText("critical path").waitFor();
  // The next error, and the next, down to the one that was first.
  await page.locator("main").click({ position: { x: 2, y: 2 } });
  const detail = page.getByRole("complementary", { name: "Details" });
  await until(
    () => page.keyboard.press("e"),
    async () => /declined|timed out/.test((await detail.allTextContents()).join(" ")),
  );
  // Against a request of the same kind that went well.
  await page.getByRole("link", { name: "Compare" }).click();
  await page.waitForURL(/\/compare/);
  await page
    .getByRole("button", { name: /^typical/ })
    .first()
    .click();
  await page.getByRole("heading", { name: "Where the time went" }).waitFor();
  await page.getByRole("table", { name: "Attributes that differ" }).waitFor();
  assert.ok(params(page).get("a") && params(page).get("b"));
  await page.goBack();
  await param(page, "b", null);
});

journey("from a pasted log line to its request", async (page) => {
  const q = encodeURIComponent('{service_name="checkout"} |= "timed out"');
  const found = await ask(
    `/loki/api/v1/query_range?query=${q}&limit=1&start=${end - 3900}000000000&end=${end}000000000`,
  );
  const stream = found.data.result[0];
  assert.ok(stream, "no checkout timed out: is braid generate --incident running?");
  const [ns, line] = stream.values[0];
  const at = new Date(Number(ns.slice(0, -6))).toISOString();
  await visit(page, "/status");
  await search(page, `${at} ERROR checkout ${line}`);
  await page.getByRole("option", { name: /around its time/ }).waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/explore\/logs/);
  await param(page, "from", /^\d+$/);
  const row = page.locator(".logrow").filter({ hasText: line }).first();
  await row.waitFor();
  await row.locator(".fold").click();
  await page.getByRole("link", { name: "Whole request" }).first().click();
  await page.waitForURL(/\/request\//);
  await page
    .getByRole("treeitem")
    .filter({ hasText: line.slice(0, 30) })
    .first()
    .waitFor();
});

journey("a URL, a stack trace, an exception: each to its requests", async (page) => {
  await visit(page, "/");
  await search(page, "https://shop.example/checkout?ref=mail");
  await page
    .getByRole("option", { name: /requests to this path/ })
    .first()
    .click();
  await page.waitForURL(/\/explore\/traces/);
  await page.getByRole("table", { name: "Traces" }).getByRole("link", { name: "POST /checkout" }).first().waitFor();
  await search(
    page,
    'Traceback (most recent call last): ⏎ File "/app/rank.py", line 12, in rank ⏎ ValueError: model returned no candidates',
  );
  await page.getByRole("option", { name: /requests with this exception/ }).click();
  await param(page, "q", /exception\.type/);
  await page.getByRole("table", { name: "Traces" }).getByRole("link").first().waitFor();
});

journey("a call on the map leads to its requests, a service to its routes", async (page) => {
  await visit(page, "/map");
  await page.getByRole("link", { name: /^frontend calls checkout/ }).dispatchEvent("click");
  await page.waitForURL(/\/explore\/traces/);
  await param(page, "q", /"frontend".*>>.*"checkout"/);
  await page.getByRole("table", { name: "Traces" }).getByRole("link").first().waitFor();
  await visit(page, "/service/frontend");
  await page.getByRole("button", { name: "Routes" }).click();
  await page
    .getByRole("table", { name: "Operations" })
    .getByRole("link", { name: "/checkout", exact: true })
    .first()
    .click();
  await page.waitForURL(/\/explore\/traces/);
  await param(page, "q", /http\.route = "\/checkout"/);
  await page.getByRole("table", { name: "Traces" }).getByRole("link").first().waitFor();
});

journey("rate, errors and duration by any field; a value narrows the search", async (page) => {
  await visit(page, "/explore/traces?view=breakdown");
  await page.getByRole("button", { name: "Route", exact: true }).click();
  const table = page.getByRole("table", { name: "Rate, errors and duration" });
  await table.getByRole("button", { name: "/checkout", exact: true }).first().click();
  await page.getByRole("menuitem", { name: "Only with this value" }).click();
  await param(page, "q", /span\.http\.route = "\/checkout"/);
});

journey("a new version is marked on the charts of its service", async (page) => {
  const versions = await ask(
    `/api/metrics/query_range?q=${encodeURIComponent('{ resource.service.name = "payment" } | count_over_time() by (resource.service.version)')}&start=${end - 3600}&end=${end}&step=60s`,
  );
  assert.ok(versions.series.length > 1, "payment was deployed during the hour");
  await visit(page, "/service/payment");
  await page
    .getByText(/New version/)
    .first()
    .waitFor();
});

journey("the tree of spans by keyboard alone; zoom and selection are in the address", async (page) => {
  await visit(page, `/request/${await goodCheckout()}`);
  const tree = page.getByRole("tree", { name: "Spans and logs" });
  await page.getByRole("treeitem").first().waitFor();
  await settled(page);
  await tree.focus();
  const rows = await page.getByRole("treeitem").count();
  await page.keyboard.press("ArrowLeft");
  await page.waitForFunction((n) => document.querySelectorAll('[role="treeitem"]').length < n, rows);
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction((n) => document.querySelectorAll('[role="treeitem"]').length === n, rows);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("z");
  await param(page, "zoom", Boolean);
  await page.keyboard.press("Enter");
  await page.getByRole("complementary", { name: "Details" }).waitFor();
  await param(page, "span", Boolean);
  await page.goBack();
  await param(page, "span", null);
  await page.goBack();
  await param(page, "zoom", null);
});

journey("what a link from an old request shows holds that request", async (page) => {
  await visit(page, `/request/${await goodCheckout()}?from=now-1m&to=now`);
  await page.getByRole("treeitem").first().click();
  await page.locator(".detail section").filter({ hasText: "Attributes" }).locator("dd .value").first().click();
  await page.getByRole("menuitem", { name: "Only with this value" }).click();
  await page.waitForURL(/\/explore\/traces/);
  await page.getByRole("table", { name: "Traces" }).getByRole("link").first().waitFor();
});

journey("a thousand attributes and a line of megabytes leave the page usable", async (page) => {
  await visit(page, "/request/req-hostile");
  await page.getByLabel("Find spans").fill("attribute.0999");
  await page.getByText(/^1 span found/).waitFor();
  const row = page.getByRole("treeitem").filter({ has: page.locator("bdi") });
  await row.last().click();
  const detail = page.getByRole("complementary", { name: "Details" });
  await detail
    .getByRole("button", { name: /Show \d+ more/ })
    .first()
    .click();
  await detail.locator("dt").nth(900).waitFor();
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(over <= 0, `the page is ${over} pixels too wide`);
});
