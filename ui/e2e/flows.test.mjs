// The main flows, on the real server fed by braid generate (with --hostile).
import assert from "node:assert/strict";
import { after, before } from "node:test";
import {
  base,
  copied,
  drag,
  failedCheckout,
  launch,
  open,
  param,
  params,
  settled,
  test,
  until,
  visit,
} from "./browser.mjs";

let browser;
let failed;
before(async () => {
  browser = await launch();
  failed = await failedCheckout();
});
after(() => browser?.close());

/** A test with a page of its own; an error in the console fails it. */
function flow(name, run, options = {}) {
  test(name, { timeout: 240_000 }, async () => {
    const o = await open(browser, options);
    try {
      await run(o.page, o);
      if (!options.errors) assert.deepEqual([...new Set(o.problems)], []);
    } finally {
      await o.context.close();
    }
  });
}

flow("any spelling of an id leads to the whole request", async (page) => {
  await visit(page, "/");
  for (const text of [
    failed,
    failed.toUpperCase(),
    `level=error trace_id=${failed} msg="x"`,
    `https://elsewhere.example/trace/${failed}?x=1`,
    `00-${failed}-00f067aa0ba902b7-01`,
  ]) {
    await page.locator("main").click({ position: { x: 2, y: 2 } });
    await page.keyboard.press("/");
    await page.keyboard.insertText(text);
    await page
      .getByRole("option", { name: /request ·/ })
      .first()
      .waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/request\//);
    await page.getByRole("tree", { name: "Spans and logs" }).getByRole("treeitem").first().waitFor();
    await page.goBack();
    await page.waitForURL((url) => url.pathname === "/");
    await settled(page);
  }
});

flow("a service name leads to the service, free text to all logs", async (page) => {
  await visit(page, "/");
  await page.keyboard.press("/");
  await page.keyboard.insertText("checkout");
  await page
    .getByRole("option", { name: /checkout service/ })
    .first()
    .waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/service\/checkout/);
  await page.keyboard.press("/");
  await page.keyboard.insertText("no candidates");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/explore\/logs/);
  await page.locator(".logrow mark").first().waitFor();
});

flow("waterfall: details, find, fold, errors", async (page) => {
  await visit(page, `/request/${failed}`);
  const rows = page.getByRole("treeitem");
  await rows.first().waitFor();
  await settled(page);
  const before = await rows.count();
  await rows.first().click();
  await page.getByRole("complementary", { name: "Details" }).waitFor();
  await param(page, "span", Boolean);
  await page.keyboard.press("Escape");
  await page.getByRole("complementary", { name: "Details" }).waitFor({ state: "detached" });
  await page.getByRole("checkbox", { name: "Errors only" }).check();
  await page.waitForFunction((n) => document.querySelectorAll('[role="treeitem"]').length < n, before);
  await page.getByRole("checkbox", { name: "Errors only" }).uncheck();
  await page.getByLabel("Find spans").fill("zzz-nothing");
  await page.getByText("0 spans found").waitFor();
});

flow("a value in a span becomes a search", async (page) => {
  await visit(page, `/request/${failed}`);
  await page.getByRole("treeitem").first().click();
  await page.locator(".detail section").filter({ hasText: "Attributes" }).locator("dd .value").first().click();
  await page.getByRole("menuitem", { name: "Only with this value" }).click();
  await page.waitForURL(/\/explore\/traces/);
  await param(page, "q", /(span|resource)\./);
  await page.getByRole("table", { name: "Traces" }).waitFor();
});

flow("logs: filter by a field, exclude, open a record, back undoes", async (page) => {
  await visit(page, "/explore/logs");
  await page.locator(".facet").filter({ hasText: "checkout" }).first().hover();
  await page.getByRole("button", { name: "Only checkout" }).first().click();
  await param(page, "q", /service_name="checkout"/);
  // The records before stay until those that match are here.
  await page.waitForFunction(() => {
    const services = [...document.querySelectorAll(".logrow .svc")].map((e) => e.textContent.trim());
    return services.length > 0 && services.every((s) => s === "checkout");
  });
  await settled(page);
  await page.locator(".logrow .fold").first().click();
  await page.locator(".logrow .more").first().waitFor();
  await page.getByRole("button", { name: "Lines around" }).first().click();
  await page.getByText("Lines around it").waitFor();
  await page.goBack();
  await param(page, "q", null);
});

flow("logs: the histogram zooms and back undoes", async (page) => {
  await visit(page, "/explore/logs");
  await until(
    () => drag(page, page.locator(".hist"), [200, 50], [400, 50]),
    () => /^\d+$/.test(params(page).get("from") ?? ""),
  );
  // As often as it zoomed: a slow page may have been asked twice.
  await until(
    () => page.goBack(),
    () => params(page).get("from") === null,
  );
});

flow("logs: thousands of records by scrolling, only some of them in the page", async (page) => {
  await visit(page, "/explore/logs");
  const list = page.locator(".loglist");
  await page.locator(".logrow").first().waitFor();
  await until(
    () => list.evaluate((e) => e.scrollTo(0, e.scrollHeight)),
    async () => Number.parseInt(await list.getAttribute("aria-label"), 10) >= 3000,
    60,
  );
  assert.ok((await page.locator(".logrow").count()) < 120);
});

flow("logs: live records come and pause", async (page) => {
  await visit(page, "/explore/logs?live=on");
  await page.locator(".logrow").first().waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("Paused").waitFor();
  await page.getByText(/new ones? waiting/).waitFor();
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByText("Live", { exact: true }).last().waitFor();
});

flow("logs: patterns filter", async (page) => {
  await visit(page, "/explore/logs?view=patterns");
  const table = page.getByRole("table", { name: "Patterns" });
  await table.getByRole("button", { name: "Only", exact: true }).first().click();
  await param(page, "q", /\|>/);
  await table.getByRole("button", { name: "Only", exact: true }).first().waitFor();
});

flow("traces: a region of the heatmap says what is different", async (page) => {
  await visit(page, "/explore/traces");
  await page.getByText("spans a cell").waitFor();
  await until(
    () => drag(page, page.locator(".heat"), [90, 5], [0.99, 0.3]),
    () => page.getByRole("heading", { name: "What is different" }).isVisible(),
  );
  await page.getByText(/spans? selected against/).waitFor();
  await page.getByRole("button", { name: "Show only these requests" }).click();
  await param(page, "q", /duration >=/);
});

flow("traces: the form and the query say the same", async (page) => {
  await visit(page, "/explore/traces");
  await page.getByLabel("Service", { exact: true }).selectOption("checkout");
  await param(page, "q", '{ resource.service.name = "checkout" }');
  await page.getByLabel("Status").selectOption("error");
  await param(page, "q", '{ resource.service.name = "checkout" && status = error }');
});

flow("traces: what a search matches becomes an alert", async (page) => {
  await visit(page, `/explore/traces?q=${encodeURIComponent("{ kind = server }")}`);
  await page.getByRole("button", { name: "Make alert" }).click();
  await page.getByRole("menuitem", { name: "Matching spans per second" }).click();
  await page.waitForURL(/\/alerting\?/);
  await param(page, "expr", "{ kind = server } | rate()");
  assert.equal(await page.getByLabel("Language").inputValue(), "traceql");
  await page.getByLabel("Threshold").fill("0");
  await page.getByText(/would have fired [1-9]\d* times?/).waitFor();
  await visit(page, `/explore/traces?q=${encodeURIComponent("{ kind = server } | count_over_time()")}`);
  await page.getByRole("link", { name: "Make alert" }).click();
  await param(page, "expr", "{ kind = server } | count_over_time()");
});

flow("metrics: browse, builder, requests behind a point", async (page) => {
  await visit(page, "/explore/metrics");
  await page.getByLabel("Find a metric").fill("http_server_request_duration_seconds_bucket");
  await page
    .getByRole("button", { name: /http_server_request_duration_seconds_bucket/ })
    .first()
    .click();
  await param(page, "q", /histogram_quantile/);
  await page.getByRole("button", { name: "Builder", exact: true }).click();
  await page.getByLabel("Quantile", { exact: true }).selectOption("0.5");
  await param(page, "q", /histogram_quantile\(0\.5/);
  // Without the dots of exemplars, which lead to a request of their own.
  await page.getByRole("checkbox", { name: /exemplars/ }).uncheck();
  await settled(page);
  const dialog = page.getByRole("dialog", { name: "Requests behind this point" });
  await until(
    async (i) => {
      const box = await page.locator(".u-over").first().boundingBox();
      const [x, y] = [box.x + box.width * (0.4 + 0.02 * i), box.y + box.height / 2];
      await page.mouse.move(x - 3, y);
      await page.mouse.move(x, y);
      await page.mouse.click(x, y);
    },
    () => dialog.isVisible(),
  );
  await dialog.getByRole("table", { name: "Requests" }).getByRole("link").first().waitFor();
});

flow("metrics: an exemplar leads to its request", async (page) => {
  await visit(
    page,
    `/explore/metrics?q=${encodeURIComponent("histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket[1m])))")}`,
  );
  await page.locator(".exemplar").first().waitFor();
  await settled(page);
  await page.locator(".exemplar").first().dispatchEvent("click");
  await page.waitForURL(/\/request\//);
  await page.getByRole("treeitem").first().waitFor();
});

flow("time: typed ranges and time zone", async (page) => {
  await visit(page, "/explore/logs");
  await page.locator("main").click({ position: { x: 2, y: 2 } });
  await page.keyboard.press("t");
  // The field that has just opened takes what is typed.
  const field = page.getByLabel("Type a range");
  await page.waitForFunction(() => document.activeElement?.matches(".popover input"));
  await page.keyboard.insertText("last 20 minutes");
  await field.press("Enter");
  await param(page, "from", "now-20m");
  await page.getByRole("button", { name: "Last 20m" }).click();
  await page.getByRole("radio", { name: "UTC", exact: true }).check();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: /Last 20m.*UTC/ }).waitFor();
});

flow("a silence is previewed, made and ended", async (page) => {
  await visit(page, "/alerting?tab=silences&new=%7B%22alertname%22%3A%22FlowTest%22%7D");
  await page.getByLabel("Who").fill("e2e");
  await page.getByLabel("Why").fill("a flow test");
  await page.getByText("0 alerts would be quiet now").waitFor();
  await page.getByRole("button", { name: "Silence", exact: true }).click();
  const row = page.getByRole("row").filter({ hasText: "FlowTest" });
  await row.waitFor();
  await row.getByRole("button", { name: "Expire now" }).click();
  await row.waitFor({ state: "detached" });
});

flow("a query becomes a rule that was tried on the past", async (page) => {
  await visit(page, "/alerting?tab=make");
  await page.locator(".cm-content").click();
  await page.keyboard.insertText("sum(rate(http_server_request_duration_seconds_count[5m])) > 0");
  await page.keyboard.press("Control+Enter");
  // Once, or once more when the machine made a pause between past and present.
  await page.getByText(/would have fired [1-9]\d* times?/).waitFor();
  assert.match(await page.locator("pre").textContent(), /- alert:/);
});

flow(
  "a dashboard is made, and one of Grafana brought in",
  async (page) => {
    await visit(page, "/dashboards");
    await page.getByRole("button", { name: "New dashboard" }).click();
    await page.waitForURL(/edit=on/);
    await page.getByLabel("Title").fill("Flow test");
    await page.getByRole("button", { name: "Panel", exact: true }).click();
    const dialog = page.getByRole("dialog");
    await dialog.locator(".cm-content").click();
    await page.keyboard.insertText("up");
    await dialog.getByLabel("Title").fill("Who is up");
    await dialog.getByRole("button", { name: "Apply" }).click();
    await page.getByRole("region", { name: "Who is up" }).waitFor();
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("button", { name: "Edit", exact: true }).waitFor();
    await visit(page, "/dashboards");
    await page.getByRole("link", { name: "Flow test" }).first().waitFor();
    const grafana = {
      title: "Brought in",
      panels: [
        { type: "timeseries", title: "<b>Up</b>", gridPos: { x: 0, y: 0, w: 24, h: 8 }, targets: [{ expr: "up" }] },
      ],
    };
    await page
      .getByLabel(/Dashboard file/)
      .setInputFiles({ name: "g.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify(grafana)) });
    await page.getByRole("link", { name: "Brought in" }).first().click();
    await page.getByRole("heading", { name: "<b>Up</b>" }).waitFor();
    await visit(page, "/dashboards");
    page.on("dialog", (d) => d.accept());
    for (const name of ["Flow test", "Brought in"]) {
      await page
        .getByRole("button", { name: `Delete ${name}` })
        .first()
        .click();
      await page.getByRole("link", { name }).first().waitFor({ state: "detached" });
    }
  },
  { errors: true },
);

flow("split view keeps both sides in its address", async (page) => {
  await visit(
    page,
    `/explore/logs?q=${encodeURIComponent('{service_name="recommendation"} | detected_level="error"')}`,
  );
  await page.locator(".logrow .fold").first().click();
  await page.getByRole("button", { name: "Beside" }).first().click();
  await page.waitForURL(/\/split\?/);
  const right = page.frameLocator('iframe[title="Right half"]');
  await right.getByRole("tree").waitFor();
  const left = page.frameLocator('iframe[title="Left half"]');
  await left.locator(".logrow").first().waitFor();
  assert.match(params(page).get("right"), /^\/request\//);
});

flow("hostile data stays text", async (page) => {
  let dialogs = 0;
  page.on("dialog", (d) => {
    dialogs++;
    void d.dismiss();
  });
  await visit(page, "/request/req-hostile");
  await page.getByText("<script>").first().waitFor();
  const rows = page.getByRole("treeitem");
  for (let i = 0; i < Math.min(12, await rows.count()); i++) await rows.nth(i).click();
  for (const view of ["flame", "spans", "logs", "metrics"]) await visit(page, `/request/req-hostile?view=${view}`);
  await visit(page, `/explore/logs?q=${encodeURIComponent('{service_name=~"hostile.*"}')}`);
  const folds = page.locator(".logrow .fold");
  await folds.first().waitFor();
  for (let i = 0; i < Math.min(5, await folds.count()); i++) await folds.nth(i).click();
  await visit(page, "/map");
  assert.equal(dialogs, 0);
  assert.equal(
    await page.evaluate(() => document.querySelectorAll("main script, main img[src*='x'], main iframe").length),
    0,
  );
});

flow("the keyboard alone reaches everything", async (page) => {
  await visit(page, "/");
  await page.locator("main").click({ position: { x: 2, y: 2 } });
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await until(
    async () => {
      await page.keyboard.press("g");
      await page.keyboard.press("l");
    },
    () => /\/explore\/logs/.test(page.url()),
  );
  await page.locator(".logrow").first().waitFor();
  await settled(page);
  await until(
    () => page.keyboard.press("j"),
    () => page.locator('.logrow[data-focus="true"]').isVisible(),
  );
  await page.keyboard.press("Enter");
  await page.locator(".logrow .more").first().waitFor();
});

flow("from the failed requests of a service to the error", async (page) => {
  await visit(
    page,
    `/explore/traces?q=${encodeURIComponent('{ resource.service.name = "checkout" && status = error }')}`,
  );
  await page.getByRole("table", { name: "Traces" }).getByRole("link").first().click();
  await page.waitForURL(/\/request\//);
  await page.getByRole("treeitem").first().waitFor();
  const detail = page.getByRole("complementary", { name: "Details" });
  await until(
    () => page.keyboard.press("e"),
    () => detail.isVisible(),
  );
  await detail.getByText("error", { exact: true }).first().waitFor();
});

flow("what is shared can be asked by a shell", async (page) => {
  await visit(page, "/explore/logs");
  const text = await copied(
    page,
    async () => {
      await page.getByRole("button", { name: "Share" }).first().click();
      await page.getByRole("menuitem", { name: "Copy as curl" }).click();
    },
    "curl command copied",
  );
  assert.match(text, new RegExp(`^curl -G '${base}/loki/api/v1/query_range'`));
});
