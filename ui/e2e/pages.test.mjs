// Every page: it opens without an error, asks no other host, passes axe, in both themes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before } from "node:test";
import { ask, launch, oldTraces, open, test, visit } from "./browser.mjs";

const axe = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
let browser;
let trace = "none";
let other = "none";
let span = "";
let user = "";

before(async () => {
  browser = await launch();
  const found = await oldTraces('{ name = "POST /checkout" && status = error }');
  trace = found[0].traceID;
  other = found.at(-1).traceID;
  const whole = await ask(`/api/braid/v1/correlate/${trace}`);
  span = whole.spans?.find((s) => s.status === "error")?.spanId ?? "";
  user = whole.aliases?.find((a) => a.kind === "user")?.id ?? trace;
});
after(() => browser?.close());

const pages = {
  home: "/",
  metrics: "/explore/metrics?metric=http_server_request_duration_seconds_bucket",
  builder:
    "/explore/metrics?edit=builder&q=sum%20by%20(service_name)%20(rate(http_server_request_duration_seconds_count%5B1m%5D))",
  logs: "/explore/logs",
  patterns: "/explore/logs?view=patterns",
  "log numbers": `/explore/logs?q=${encodeURIComponent('sum by (service_name) (count_over_time({service_name=~".+"}[1m]))')}`,
  traces: "/explore/traces",
  breakdown: "/explore/traces?view=breakdown",
  request: () => `/request/${trace}`,
  flame: () => `/request/${trace}?view=flame`,
  spans: () => `/request/${trace}?view=spans`,
  "request logs": () => `/request/${trace}?view=logs`,
  "request metrics": () => `/request/${trace}?view=metrics`,
  "requests of a user": () => `/request/${user}`,
  "a span's details": () => `/request/${trace}?span=${span}`,
  "what is different": () => `/explore/traces?sel=${Date.now() - 1_800_000}~${Date.now() - 60_000}~1~0`,
  services: "/map",
  "services table": "/map?view=table",
  calls: "/map?view=calls",
  service: "/service/checkout",
  routes: "/service/frontend?by=route",
  alerts: "/alerting",
  rules: "/alerting?tab=rules",
  "alert history": "/alerting?tab=history",
  silences: "/alerting?tab=silences&new=%7B%22alertname%22%3A%22x%22%7D",
  "make an alert": "/alerting?tab=make&expr=up%20%3D%3D%200",
  dashboards: "/dashboards",
  status: "/status",
  ingest: "/status?tab=ingest",
  cardinality: "/status?tab=cardinality",
  queries: "/status?tab=queries",
  configuration: "/status?tab=config",
  compare: () => `/compare?a=${trace}&b=${other}`,
  "compare with what": () => `/compare?a=${trace}`,
  "split view": () =>
    `/split?left=${encodeURIComponent("/explore/logs")}&right=${encodeURIComponent(`/request/${trace}`)}`,
  design: "/design",
  hostile: "/request/req-hostile",
  "not there": "/request/no-such-id-000",
};

for (const [name, path] of Object.entries(pages)) {
  for (const theme of ["dark", "light"]) {
    test(`${name}, ${theme}`, { timeout: 180_000 }, async () => {
      const { context, page, problems, foreign } = await open(browser, { theme });
      try {
        await visit(page, typeof path === "function" ? path() : path);
        assert.deepEqual([...new Set(problems)], []);
        assert.deepEqual(foreign, []);
        // Evaluated through the debugger: the page's own policy would forbid the script.
        await page.evaluate(axe);
        const found = await page.evaluate(() =>
          window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] }),
        );
        const list = found.violations.map(
          (v) =>
            `${v.id}: ${v.nodes
              .slice(0, 3)
              .map((n) => `${n.target.join(" ")} ${n.any[0]?.message ?? ""}`)
              .join(" | ")}`,
        );
        assert.deepEqual(list, []);
      } finally {
        await context.close();
      }
    });
  }
}

test("at 800 wide nothing stands outside the page", { timeout: 300_000 }, async () => {
  const { context, page } = await open(browser, { width: 800 });
  for (const path of [
    "/",
    "/explore/metrics",
    "/explore/logs",
    "/explore/traces",
    "/explore/traces?view=breakdown",
    `/request/${trace}`,
    `/compare?a=${trace}&b=${other}`,
    "/map",
    "/service/checkout",
    "/alerting",
    "/dashboards",
    "/status",
    "/design",
  ]) {
    await visit(page, path);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(over <= 0, `${path} is ${over} pixels too wide`);
  }
  await context.close();
});
