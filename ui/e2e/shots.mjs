// Pictures of every page, at two widths in two themes, into e2e/shots.
// node e2e/shots.mjs [name…]
import { mkdirSync } from "node:fs";
import { ask, launch, open, visit } from "./browser.mjs";

const end = Math.floor(Date.now() / 1000);
const found = await ask(
  `/api/search?q=${encodeURIComponent("{ status = error }")}&limit=5&start=${end - 3600}&end=${end}`,
);
const id = found.traces?.[0]?.traceID ?? "none";
const found2 = await ask(
  `/api/search?q=${encodeURIComponent('{ name = "POST /api/checkout" }')}&limit=5&start=${end - 3600}&end=${end}`,
);
const id2 = found2.traces?.[0]?.traceID ?? id;
const pages = {
  home: "/",
  metrics: "/explore/metrics?metric=http_server_request_duration_seconds_bucket",
  "metrics-builder":
    "/explore/metrics?edit=builder&q=sum%20by%20(service_name)%20(rate(http_server_request_duration_seconds_count%5B1m%5D))&style=area",
  logs: "/explore/logs",
  patterns: "/explore/logs?view=patterns",
  traces: "/explore/traces",
  breakdown: "/explore/traces?view=breakdown",
  request: `/request/${id}`,
  request2: `/request/${id2}`,
  flame: `/request/${id2}?view=flame`,
  spans: `/request/${id2}?view=spans`,
  requestlogs: `/request/${id2}?view=logs`,
  services: "/map",
  service: "/service/checkout",
  alerts: "/alerting",
  rules: "/alerting?tab=rules",
  silence: "/alerting?tab=silences&new=%7B%22alertname%22%3A%22AlwaysFiring%22%7D",
  make: "/alerting?tab=make&expr=up%20%3D%3D%200",
  "log-numbers": `/explore/logs?style=area&q=${encodeURIComponent('sum by (service_name) (count_over_time({service_name=~".+"}[1m]))')}`,
  dashboards: "/dashboards",
  status: "/status",
  ingest: "/status?tab=ingest",
  cardinality: "/status?tab=cardinality",
  queries: "/status?tab=queries",
  design: "/design",
  compare: `/compare?a=${id}&b=${id2}`,
  split: `/split?left=${encodeURIComponent("/explore/logs")}&right=${encodeURIComponent(`/request/${id2}`)}`,
  hostile: "/request/req-hostile",
};
const wanted = process.argv.slice(2);
const dir = new URL("./shots/", import.meta.url).pathname;
mkdirSync(dir, { recursive: true });
const browser = await launch();
for (const theme of process.env.THEMES?.split(",") ?? ["dark", "light"]) {
  for (const width of process.env.WIDTHS?.split(",").map(Number) ?? [1280, 1920]) {
    for (const [name, path] of Object.entries(pages)) {
      if (wanted.length && !wanted.includes(name)) continue;
      const { context, page, problems } = await open(browser, { width, height: width === 1280 ? 860 : 1080, theme });
      await visit(page, path);
      await page.waitForTimeout(400);
      await page.screenshot({ path: `${dir}${name}-${theme}-${width}.png` });
      for (const p of new Set(problems)) console.log(`${name}-${theme}-${width}: ${p.slice(0, 300)}`);
      await context.close();
    }
  }
}
await browser.close();
