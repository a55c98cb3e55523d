// What is shown can be taken along: as files, and as a command that asks a shell the same.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { copied, failedCheckout, launch, open, saved, settled, shell, test, visit } from "./browser.mjs";

let browser;
let failed;
before(async () => {
  browser = await launch();
  failed = await failedCheckout();
});
after(() => browser?.close());

// A stretch of the past, whole by now: what is asked twice is the same twice.
const to = Date.now() - 180_000;
const range = { from: String(to - 1_200_000), to: String(to) };
const at = (path, params = {}) => `${path}?${new URLSearchParams({ ...params, ...range })}`;

/** The tenant that asks when none is named: named here, so that commands must carry it. */
const tenant = "default";

function exported(name, run) {
  test(name, { timeout: 240_000 }, async () => {
    const o = await open(browser, { tenant });
    try {
      await run(o.page);
      assert.deepEqual([...new Set(o.problems)], []);
    } finally {
      await o.context.close();
    }
  });
}

/** Every file that a menu saves. The menu is the page's "Share", or the "Export" of a panel. */
async function files(page, menu, kinds) {
  const out = {};
  for (const kind of kinds) {
    const file = await saved(page, async () => {
      await page.getByRole("button", { name: menu, exact: true }).first().click();
      await page.getByRole("menuitem", { name: `Save as ${kind}` }).click();
    });
    assert.match(file.name, new RegExp(`^[\\w.-]+\\.${kind.toLowerCase()}$`));
    out[kind] = file.bytes;
  }
  return out;
}

const curl = (page) =>
  copied(
    page,
    async () => {
      await page.getByRole("button", { name: "Share", exact: true }).first().click();
      await page.getByRole("menuitem", { name: "Copy as curl" }).click();
    },
    "curl command copied",
  );

/** Rows of a CSV file, by RFC 4180. */
function csv(bytes) {
  const text = bytes.toString("utf8");
  assert.ok(text.endsWith("\r\n"));
  const rows = [[""]];
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const row = rows.at(-1);
    if (quoted && text[i] === '"' && text[i + 1] === '"') row[row.length - 1] += text[i++];
    else if (text[i] === '"') quoted = !quoted;
    else if (!quoted && text[i] === ",") row.push("");
    else if (!quoted && text.startsWith("\r\n", i)) {
      rows.push([""]);
      i++;
    } else row[row.length - 1] += text[i];
  }
  rows.pop();
  const [header, ...rest] = rows;
  for (const r of rest) assert.equal(r.length, header.length, r.join());
  return { header, rows: rest };
}

const json = (bytes) => JSON.parse(bytes.toString("utf8"));
const ndjson = (bytes) =>
  bytes
    .toString("utf8")
    .trimEnd()
    .split("\n")
    .map((l) => JSON.parse(l));

/** A PNG says its size behind its signature. */
function png(bytes) {
  assert.equal(bytes.subarray(0, 8).toString("hex"), "89504e470d0a1a0a");
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  assert.ok(width > 400 && height > 150, `${width} by ${height}`);
  assert.ok(bytes.length > 2000, `${bytes.length} bytes`);
}

exported("log records", async (page) => {
  await visit(page, at("/explore/logs", { q: '{service_name="checkout"}', cols: "k8s_pod_name" }));
  await page.locator(".logrow").first().waitFor();
  const f = await files(page, "Export", ["CSV", "JSON", "NDJSON"]);
  const table = csv(f.CSV);
  assert.deepEqual(table.header, ["time", "level", "service", "k8s_pod_name", "trace_id", "line"]);
  assert.ok(table.rows.length > 0 && table.rows.every((r) => r[2] === "checkout" && r[3].startsWith("checkout-")));
  const records = json(f.JSON);
  assert.equal(records.length, table.rows.length);
  assert.deepEqual(ndjson(f.NDJSON), records);
  assert.deepEqual(
    table.rows.map((r) => r[5].replace(/^'/, "")),
    records.map((r) => r.line.replace(/^'/, "")),
  );
  const command = await curl(page);
  assert.match(command, /-H 'X-Scope-OrgID: default'/);
  const answer = await shell(command);
  const found = answer.data.result.flatMap((s) => s.values.map((v) => v[0]));
  assert.deepEqual(found.sort(), records.map((r) => r.ns).sort());
});

exported("numbers of logs", async (page) => {
  const q = 'sum by (service_name) (count_over_time({service_name=~"cart|checkout"}[1m]))';
  await visit(page, at("/explore/logs", { q }));
  await page.locator(".u-over").first().waitFor();
  const f = await files(page, "Export", ["CSV", "JSON", "NDJSON", "PNG"]);
  const table = csv(f.CSV);
  assert.deepEqual(table.header, ["series", "time", "value"]);
  const series = json(f.JSON);
  assert.deepEqual(series.map((s) => s.labels.service_name).sort(), ["cart", "checkout"]);
  assert.equal(
    table.rows.length,
    series.reduce((n, s) => n + s.points.length, 0),
  );
  assert.deepEqual(ndjson(f.NDJSON), series);
  png(f.PNG);
});

exported("metrics", async (page) => {
  const q = "sum by (service_name) (rate(http_server_request_duration_seconds_count[1m]))";
  await visit(page, at("/explore/metrics", { q }));
  await page.locator(".u-over").first().waitFor();
  await settled(page);
  const f = await files(page, "Export", ["CSV", "JSON", "NDJSON", "PNG"]);
  const table = csv(f.CSV);
  assert.deepEqual(table.header, ["series", "time", "value"]);
  const series = json(f.JSON);
  assert.ok(series.length > 0 && series.every((s) => s.query === q && s.labels.service_name));
  assert.equal(
    table.rows.length,
    series.reduce((n, s) => n + s.points.length, 0),
  );
  assert.deepEqual(ndjson(f.NDJSON), series);
  png(f.PNG);
  const answer = await shell(await curl(page));
  const of = (list, labels, points) => Object.fromEntries(list.map((s) => [labels(s).service_name, points(s).length]));
  assert.deepEqual(
    of(
      answer.data.result,
      (s) => s.metric,
      (s) => s.values,
    ),
    of(
      series,
      (s) => s.labels,
      (s) => s.points,
    ),
  );
});

exported("traces", async (page) => {
  await visit(page, at("/explore/traces", { q: '{ resource.service.name = "payment" }' }));
  await page.getByRole("table", { name: "Traces" }).getByRole("link").first().waitFor();
  await settled(page);
  const f = await files(page, "Export", ["CSV", "JSON", "NDJSON"]);
  const table = csv(f.CSV);
  assert.deepEqual(table.header, ["trace_id", "start", "service", "name", "duration_ms", "spans", "errors"]);
  const traces = json(f.JSON);
  assert.deepEqual(
    table.rows.map((r) => r[0]),
    traces.map((t) => t.traceID),
  );
  assert.deepEqual(ndjson(f.NDJSON), traces);
  const answer = await shell(await curl(page));
  assert.deepEqual(answer.traces.map((t) => t.traceID).sort(), traces.map((t) => t.traceID).sort());
});

exported("numbers of traces", async (page) => {
  await visit(page, at("/explore/traces", { q: "{ kind = server } | rate() by (resource.service.name)" }));
  await page.locator(".u-over").first().waitFor();
  await settled(page);
  const f = await files(page, "Export", ["CSV", "JSON", "NDJSON", "PNG"]);
  const table = csv(f.CSV);
  assert.deepEqual(table.header, ["series", "time", "value"]);
  const series = json(f.JSON);
  assert.ok(series.length > 1);
  assert.equal(
    table.rows.length,
    series.reduce((n, s) => n + s.points.length, 0),
  );
  assert.deepEqual(ndjson(f.NDJSON), series);
  png(f.PNG);
  const answer = await shell(await curl(page));
  assert.equal(answer.series.length, series.length);
});

exported("a request", async (page) => {
  await visit(page, `/request/${failed}`);
  await page.getByRole("treeitem").first().waitFor();
  const f = await files(page, "Share", ["CSV", "JSON", "NDJSON"]);
  const whole = json(f.JSON);
  const table = csv(f.CSV);
  assert.equal(table.header[0], "service");
  assert.equal(table.rows.length, whole.spans.length);
  assert.ok(table.rows.length > 5);
  const lines = ndjson(f.NDJSON);
  assert.equal(lines.filter((l) => l.span).length, whole.spans.length);
  assert.equal(lines.filter((l) => l.log).length, whole.logs.length);
  const answer = await shell(await curl(page));
  assert.deepEqual(answer.spans.map((s) => s.spanId).sort(), whole.spans.map((s) => s.spanId).sort());
});
