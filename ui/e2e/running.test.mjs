// Every query that runs long says for how long, can be ended, says that it was, and can be run again.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { base, failedCheckout, launch, open, test, visit } from "./browser.mjs";

let browser;
let failed;
before(async () => {
  browser = await launch();
  failed = await failedCheckout();
});
after(() => browser?.close());

const rate = "sum(rate(http_server_request_duration_seconds_count[1m]))";

const board = {
  id: "flow-cancel",
  title: "Flow cancel",
  panels: [
    {
      id: "a",
      title: "spans",
      type: "line",
      queries: [{ language: "promql", expr: "sum(rate(traces_spanmetrics_calls_total[1m]))" }],
      x: 0,
      y: 0,
      w: 24,
      h: 8,
    },
  ],
  variables: [],
};

/** What is asked, which request the server leaves without an answer, and what is there when it has one. */
const cases = {
  "log records": ["/explore/logs", /\/loki\/api\/v1\/query_range\?/, ".logrow"],
  "records over time": ["/explore/logs", /\/loki\/api\/v1\/query_range$/, ".hist rect"],
  patterns: ["/explore/logs?view=patterns", /\/loki\/api\/v1\/patterns\?/, "table[aria-label=Patterns]"],
  "numbers of logs": [
    `/explore/logs?q=${encodeURIComponent('sum(count_over_time({service_name=~".+"}[1m]))')}`,
    /\/loki\/api\/v1\/query_range$/,
    ".u-over",
  ],
  metrics: [`/explore/metrics?q=${encodeURIComponent(rate)}`, /\/api\/v1\/query_range$/, ".u-over"],
  traces: ["/explore/traces", /\/api\/search\?/, "table[aria-label=Traces]"],
  "durations of spans": ["/explore/traces", /\/api\/metrics\/query_range\?/, ".heat-scale"],
  "what is different": [
    () => `/explore/traces?sel=${Date.now() - 1_800_000}~${Date.now() - 60_000}~1~0`,
    /\/api\/braid\/v1\/outliers$/,
    "text=/spans? selected against/",
  ],
  "rate, errors, duration": [
    "/explore/traces?view=breakdown",
    /\/api\/metrics\/query\?/,
    "table[aria-label='Rate, errors and duration'] td",
  ],
  "a request": [() => `/request/${failed}`, /\/api\/braid\/v1\/correlate\//, "[role=treeitem]"],
  services: ["/map", /\/api\/braid\/v1\/services\?/, "a[aria-label^=frontend]"],
  "a panel": ["/dashboards/flow-cancel", /\/api\/v1\/query_range$/, ".u-over"],
};

for (const [name, [path, held, there]] of Object.entries(cases)) {
  test(`${name}: cancelled and run again`, { timeout: 240_000 }, async () => {
    const url = `${base}/api/braid/v1/dashboards/flow-cancel`;
    if (name === "a panel")
      await fetch(url, {
        method: "PUT",
        body: JSON.stringify({ title: board.title, document: JSON.stringify(board) }),
      });
    const { context, page, problems } = await open(browser);
    try {
      await page.route(held, () => {});
      await page.goto(base + (typeof path === "function" ? path() : path));
      await page
        .getByText(/^\d+\.\d s$/)
        .first()
        .waitFor();
      await page.getByRole("button", { name: "Cancel", exact: true }).first().click();
      await page
        .getByText(/^Cancelled after \d+\.\d s\.$/)
        .first()
        .waitFor();
      assert.equal(await page.locator(".notice.error").count(), 0);
      await page.unroute(held);
      await page.getByRole("button", { name: "Run again" }).first().click();
      await page.locator(there).first().waitFor();
      await page
        .getByText(/^Cancelled after/)
        .first()
        .waitFor({ state: "detached" });
      assert.deepEqual([...new Set(problems)], []);
    } finally {
      await context.close();
      if (name === "a panel") await fetch(url, { method: "DELETE" });
    }
  });
}

test("what an answer took and read stands beside it", { timeout: 240_000 }, async () => {
  const { context, page } = await open(browser);
  await visit(page, "/explore/logs");
  await page
    .getByText(/read .*rows/)
    .first()
    .waitFor();
  await visit(page, `/explore/metrics?q=${encodeURIComponent(rate)}`);
  await page
    .getByText(/read .*samples?/)
    .first()
    .waitFor();
  await visit(page, "/explore/traces");
  await page
    .getByText(/read .*spans/)
    .first()
    .waitFor();
  await visit(page, `/request/${failed}`);
  await page
    .getByText(/read .* blocks|critical path/)
    .first()
    .waitFor();
  await context.close();
});
