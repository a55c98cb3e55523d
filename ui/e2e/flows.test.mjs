// The main flows, on the real server fed by braid generate (with --hostile).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, base, launch, open, settled, visit } from "./browser.mjs";

let browser;
let failed;
before(async () => {
  browser = await launch();
  const end = Math.floor(Date.now() / 1000);
  failed = (
    await ask(`/api/search?q=${encodeURIComponent("{ status = error }")}&limit=5&start=${end - 3600}&end=${end}`)
  ).traces?.[0]?.traceID;
  assert.ok(failed, "the server holds no failed trace: is braid generate running?");
});
after(() => browser?.close());

/** A test with a page of its own; an error in the console fails it. */
function flow(name, run, options = {}) {
  test(name, { timeout: 120_000 }, async () => {
    const o = await open(browser, options);
    try {
      await run(o.page, o);
      if (!options.errors) assert.deepEqual([...new Set(o.problems)], []);
    } finally {
      await o.context.close();
    }
  });
}

const params = (page) => new URL(page.url()).searchParams;

flow("any spelling of an id leads to the whole request", async (page) => {
  await visit(page, "/");
  for (const text of [
    failed,
    failed.toUpperCase(),
    `level=error trace_id=${failed} msg="x"`,
    `https://elsewhere.example/trace/${failed}?x=1`,
    `00-${failed}-00f067aa0ba902b7-01`,
  ]) {
    await page.keyboard.press("Escape");
    await page.locator("main").click({ position: { x: 2, y: 2 } });
    await page.keyboard.press("/");
    await page.keyboard.insertText(text);
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/request\//);
    await page.getByRole("tree", { name: "Spans and logs" }).waitFor();
    assert.ok((await page.getByRole("treeitem").count()) > 0);
    await page.goBack();
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
  const before = await rows.count();
  await rows.first().click();
  await page.getByRole("complementary", { name: "Details" }).waitFor();
  assert.ok(params(page).get("span"));
  await page.keyboard.press("Escape");
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
  assert.match(params(page).get("q") ?? "", /(span|resource)\./);
  await page.getByRole("table", { name: "Traces" }).waitFor();
});

flow("logs: filter by a field, exclude, open a record, back undoes", async (page) => {
  await visit(page, "/explore/logs");
  await page.locator(".facet").filter({ hasText: "checkout" }).first().hover();
  await page.getByRole("button", { name: "Only checkout" }).first().click();
  await page.waitForFunction(() => new URL(location.href).searchParams.get("q")?.includes('service_name="checkout"'));
  await settled(page);
  const services = await page.locator(".logrow .svc").allInnerTexts();
  assert.ok(services.length > 0 && services.every((s) => s.trim() === "checkout"), String(services));
  await page.locator(".logrow .fold").first().click();
  await page.locator(".logrow .more").first().waitFor();
  await page.getByRole("button", { name: "Lines around" }).first().click();
  await page.getByText("Lines around it").waitFor();
  await page.goBack();
  await page.waitForFunction(() => !new URL(location.href).searchParams.get("q"));
});

flow("logs: the histogram zooms and back undoes", async (page) => {
  await visit(page, "/explore/logs");
  const box = await page.locator(".hist").boundingBox();
  await page.mouse.move(box.x + 200, box.y + 50);
  await page.mouse.down();
  await page.mouse.move(box.x + 400, box.y + 50, { steps: 5 });
  await page.mouse.up();
  await page.waitForFunction(() => /^\d+$/.test(new URL(location.href).searchParams.get("from") ?? ""));
  await page.goBack();
  await page.waitForFunction(() => !new URL(location.href).searchParams.get("from"));
});

flow("logs: thousands of records by scrolling, only some of them in the page", async (page) => {
  await visit(page, "/explore/logs");
  const list = page.locator(".loglist");
  for (let i = 0; i < 12; i++) {
    await list.evaluate((e) => e.scrollTo(0, e.scrollHeight));
    await settled(page);
  }
  const label = await list.getAttribute("aria-label");
  assert.ok(Number.parseInt(label, 10) >= 3000, label);
  assert.ok((await page.locator(".logrow").count()) < 120);
});

flow("logs: live records come and pause", async (page) => {
  await visit(page, "/explore/logs?live=on");
  await page.locator(".logrow").first().waitFor({ timeout: 30_000 });
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("Paused").waitFor();
});

flow("logs: patterns filter", async (page) => {
  await visit(page, "/explore/logs?view=patterns");
  await page.getByRole("button", { name: "Only" }).first().click();
  await page.waitForFunction(() => new URL(location.href).searchParams.get("q")?.includes("|>"));
  await settled(page);
});

flow("traces: a region of the heatmap says what is different", async (page) => {
  await visit(page, "/explore/traces");
  const box = await page.locator(".heat").boundingBox();
  await page.mouse.move(box.x + 90, box.y + 5);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width - 5, box.y + box.height * 0.3, { steps: 6 });
  await page.mouse.up();
  await page.getByRole("heading", { name: "What is different" }).waitFor();
  await page.getByText(/spans? selected against/).waitFor({ timeout: 30_000 });
  await page.getByRole("button", { name: "Show only these requests" }).click();
  await page.waitForFunction(() => new URL(location.href).searchParams.get("q")?.includes("duration >="));
});

flow("traces: the form and the query say the same", async (page) => {
  await visit(page, "/explore/traces");
  await page.getByLabel("Service", { exact: true }).selectOption("checkout");
  await page.getByLabel("Status").selectOption("error");
  await page.waitForFunction(
    () => new URL(location.href).searchParams.get("q") === '{ resource.service.name = "checkout" && status = error }',
  );
});

flow("metrics: browse, builder, requests behind a point", async (page) => {
  await visit(page, "/explore/metrics");
  await page.getByLabel("Find a metric").fill("http_server_request_duration_seconds_bucket");
  await page
    .getByRole("button", { name: /http_server_request_duration_seconds_bucket/ })
    .first()
    .click();
  await page.waitForFunction(() => new URL(location.href).searchParams.get("q")?.includes("histogram_quantile"));
  await page.getByRole("button", { name: "Builder" }).click();
  await page.getByLabel("Quantile", { exact: true }).selectOption("0.5");
  await page.waitForFunction(() => new URL(location.href).searchParams.get("q")?.includes("histogram_quantile(0.5"));
  await settled(page);
  const box = await page.locator(".u-over").first().boundingBox();
  // A click on an exemplar's dot opens its request, and one while fresh data
  // redraws the chart hits nothing: another place is tried.
  const dialog = page.getByRole("dialog", { name: "Requests behind this point" });
  for (let tries = 0; tries < 20 && !(await dialog.isVisible()); tries++) {
    if (page.url().includes("/request/")) {
      await page.goBack();
      await page.locator(".u-over").first().waitFor();
      await settled(page);
    }
    const x = box.x + box.width * (0.4 + 0.023 * tries);
    const y = box.y + box.height * (0.12 + 0.07 * (tries % 5));
    await page.mouse.move(x, y);
    await page.mouse.click(x, y);
    await dialog.waitFor({ timeout: 1500 }).catch(() => {});
  }
  await dialog.waitFor();
  await page.getByRole("dialog").getByRole("link").first().waitFor({ timeout: 30_000 });
});

flow("metrics: an exemplar leads to its request", async (page) => {
  await visit(
    page,
    `/explore/metrics?q=${encodeURIComponent("histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket[1m])))")}`,
  );
  await page.locator(".exemplar").first().waitFor();
  await page.locator(".exemplar").first().dispatchEvent("click");
  await page.waitForURL(/\/request\//);
  await page.getByRole("tree").waitFor();
});

flow("time: typed ranges and time zone", async (page) => {
  await visit(page, "/explore/logs");
  await page.locator("main").click({ position: { x: 2, y: 2 } });
  await page.keyboard.press("t");
  await page.keyboard.insertText("last 20 minutes");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => new URL(location.href).searchParams.get("from") === "now-20m");
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
  await page.getByText(/would have fired 1 time/).waitFor();
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
  assert.ok((await page.getByText("<script>").count()) > 0, "the hostile trace is there: braid generate --hostile");
  const rows = page.getByRole("treeitem");
  for (let i = 0; i < Math.min(12, await rows.count()); i++) await rows.nth(i).click();
  for (const view of ["flame", "spans", "logs", "metrics"]) await visit(page, `/request/req-hostile?view=${view}`);
  await visit(page, `/explore/logs?q=${encodeURIComponent('{service_name=~"hostile.*"}')}`);
  const folds = page.locator(".logrow .fold");
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
  await page.keyboard.press("g");
  await page.keyboard.press("l");
  await page.waitForURL(/\/explore\/logs/);
  await page.locator(".logrow").first().waitFor();
  // A key pressed while the list is being replaced moves nothing: it is pressed again.
  const focused = page.locator('.logrow[data-focus="true"]');
  for (let tries = 0; tries < 20 && !(await focused.isVisible()); tries++) {
    await page.keyboard.press("j");
    await focused.waitFor({ timeout: 2000 }).catch(() => {});
  }
  await focused.waitFor();
  await page.keyboard.press("Enter");
  await page.locator(".logrow .more").waitFor();
});

flow("an incident, from the alert to its cause", async (page) => {
  await visit(page, "/alerting");
  const silent =
    (await page.getByText("Nothing fires").count()) + (await page.getByText("There are no rules yet").count());
  // Without a firing rule the incident starts at the map.
  await visit(page, "/map");
  if (silent === 0) await visit(page, "/alerting");
  await visit(
    page,
    `/explore/traces?q=${encodeURIComponent('{ resource.service.name = "checkout" && status = error }')}`,
  );
  await page.getByRole("table", { name: "Traces" }).getByRole("link").first().click();
  await page.waitForURL(/\/request\//);
  await page.getByRole("tree").waitFor();
  await page.keyboard.press("e");
  await page.getByRole("complementary", { name: "Details" }).waitFor();
  assert.ok((await page.locator(".detail").textContent()).length > 50);
});

test("what is shared can be asked by a shell", { timeout: 60_000 }, async () => {
  const { context, page } = await open(browser);
  await visit(page, "/explore/logs");
  await page.getByRole("button", { name: "Share" }).first().click();
  await page.getByRole("menuitem", { name: "Copy as curl" }).click();
  const text = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(text, new RegExp(`^curl -G '${base}/loki/api/v1/query_range'`));
  await context.close();
});
