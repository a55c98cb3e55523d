// The plugin's pages with Grafana's own components, in a real browser: what a
// user does, and what comes back from Braid. SHOTS names a folder for pictures.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { choose, launch, open, shown } from "./browser.mjs";

let browser;
let page;
before(async () => {
  browser = await launch();
});
after(() => browser.close());
afterEach(async () => {
  const problems = page.problems;
  await page.close();
  assert.deepEqual(problems, []);
});

const query = (q, more) => open(browser, { view: "query", query: JSON.stringify(q) }, more);
const picture = (name) =>
  process.env.SHOTS && page.screenshot({ path: `${process.env.SHOTS}/${name}.png`, fullPage: true });
const run = async () => {
  await page.getByRole("button", { name: "Run query" }).click();
  await page.getByTestId("answer").waitFor();
};
const frames = async () => {
  await page.getByTestId("frames").waitFor({ state: "attached" });
  return shown(page, "frames");
};

test("settings: secrets go where secrets belong", async () => {
  page = await open(browser, { view: "config" });
  await page.getByLabel("URL", { exact: false }).first().fill("https://braid.example:4320");
  await page.locator("#braid-tenant").fill("acme");
  await page.getByRole("radio", { name: "Basic" }).click({ force: true });
  await page.locator("#braid-user").fill("ann");
  await page.locator("#braid-password").fill("pass-w0rd");
  await page.locator("#braid-with-ca").click({ force: true });
  await page.locator("#braid-ca").fill("-----BEGIN CERTIFICATE-----");
  await picture("settings");
  let o = await shown(page, "options");
  assert.equal(o.url, "https://braid.example:4320");
  assert.equal(o.basicAuth, true);
  assert.equal(o.basicAuthUser, "ann");
  assert.deepEqual(o.jsonData, { tenant: "acme", oauthPassThru: false, tlsAuthWithCACert: true });
  assert.deepEqual(o.secureJsonData, { basicAuthPassword: "pass-w0rd", tlsCACert: "-----BEGIN CERTIFICATE-----" });

  await page.getByRole("radio", { name: "Bearer token" }).click({ force: true });
  await page.locator("#braid-token").fill("t0ken");
  o = await shown(page, "options");
  assert.equal(o.basicAuth, false);
  assert.equal(o.secureJsonData.bearerToken, "t0ken");
  await page.getByRole("radio", { name: "Forward identity" }).click({ force: true });
  o = await shown(page, "options");
  assert.equal(o.jsonData.oauthPassThru, true);
  assert.equal(o.secureJsonData.bearerToken, undefined);
  assert.ok(!JSON.stringify(o.jsonData).includes("t0ken") && !JSON.stringify(o.jsonData).includes("pass"));
});

test("settings: a stored token shows as configured, and can be reset", async () => {
  page = await open(browser, { view: "config", options: JSON.stringify({ secureJsonFields: { bearerToken: true } }) });
  await page.getByText("Token", { exact: true }).waitFor();
  assert.equal(await page.locator("#braid-token").inputValue(), "configured");
  await page.getByRole("button", { name: "Reset" }).click();
  const o = await shown(page, "options");
  assert.equal(o.secureJsonFields.bearerToken, false);
  assert.equal(o.secureJsonData.bearerToken, "");
});

test("builder: from nothing to a chart, out of what Braid has", async () => {
  page = await query({});
  await choose(page, "Metric", "http_server_request_duration_seconds_count");
  await page.getByRole("button", { name: "Label" }).click();
  await choose(page, "Label 1", "http_request_method");
  await choose(page, "Value 1", "POST");
  await choose(page, "over a window", "rate");
  await choose(page, "over series", "sum");
  await choose(page, "Label to add", "http_route");
  await page.getByText("Explain", { exact: true }).click();
  const want =
    'sum by (http_route) (rate(http_server_request_duration_seconds_count{http_request_method="POST"}[$__rate_interval]))';
  assert.equal(await page.getByTestId("braid-text").textContent(), want);
  assert.equal((await shown(page, "query")).expr, want);
  await page.getByRole("list", { name: "Explanation" }).getByText("one result for each http_route").waitFor();
  await run();
  const list = await frames();
  assert.equal(list[0].type, "timeseries-multi");
  assert.ok(list[0].rows > 5);
  assert.deepEqual(list[0].fields[1].links, ["Requests behind"]);
  await picture("builder");
});

test("code: the same text, both ways; what the builder cannot show stays", async () => {
  page = await query({ expr: "sum(rate(kafka_consumer_lag[5m]))", editorMode: "builder" });
  await page.getByRole("combobox", { name: "Window" }).waitFor();
  await page.getByRole("radio", { name: "Code" }).click({ force: true });
  const editor = page.getByTestId("braid-code").locator(".monaco-editor").first();
  await editor.waitFor();
  await editor.click();
  await page.keyboard.press("Control+A");
  await page.keyboard.type("kafka_consumer_lag offset 5m");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Shift+Enter");
  await page.getByTestId("answer").waitFor();
  assert.equal((await shown(page, "query")).expr, "kafka_consumer_lag offset 5m");
  await page.getByRole("radio", { name: "Builder" }).click({ force: true });
  await page.getByText("The builder cannot show this query").waitFor();
  await page.getByText(/Offset is more than the builder shows/).waitFor();
  assert.equal((await shown(page, "query")).expr, "kafka_consumer_lag offset 5m");
  await page.getByText("Edit the code").click();
  await page.getByTestId("braid-code").waitFor();
});

test("code: completion offers metrics, labels and values of this Braid", async () => {
  page = await query({ editorMode: "code", queryType: "promql" });
  const editor = page.getByTestId("braid-code").locator(".monaco-editor").first();
  await editor.waitFor();
  await editor.click();
  const offered = (text) => page.locator(".suggest-widget .monaco-list-row", { hasText: text }).first().waitFor();
  await page.keyboard.type("http_server_req");
  await offered("http_server_request_duration_seconds_count");
  await page.keyboard.press("Escape");
  await page.keyboard.type("uest_duration_seconds_count{");
  await page.keyboard.press("Control+Space");
  await offered("http_route");
  await page.keyboard.press("Escape");
  await page.keyboard.type('service_name="');
  await page.keyboard.press("Control+Space");
  await offered("frontend");
  await picture("completion");
});

test("logs, traces and joins have builders too", async () => {
  page = await query({ queryType: "logql", expr: '{service_name="payment"} |= `gateway`', editorMode: "builder" });
  await choose(page, "Answer", "count_over_time");
  assert.match(
    (await shown(page, "query")).expr,
    /^sum by \(service_name\) \(count_over_time\(\{service_name="payment"\} \|= `gateway` \[\$__auto\]\)\)$/,
  );
  await run();
  assert.ok((await frames())[0].rows > 0);
  await page.close();

  page = await query({ queryType: "traceql", expr: "{status=error}", editorMode: "builder" });
  await page.getByRole("button", { name: "Attribute" }).click();
  await choose(page, "Attribute 2", "resource.service.name");
  await choose(page, "Value 2", "checkout");
  assert.equal((await shown(page, "query")).expr, '{status=error && resource.service.name="checkout"}');
  await run();
  const found = await frames();
  assert.ok(found[0].rows > 0);
  assert.deepEqual(found[0].fields[0].links, ["Request"]);
  await picture("traces");
  await page.close();

  const text =
    'slow   = traces { duration > 1s }\nfailed = logs {service_name="payment"}\nfrom slow\nsemi join failed on trace\n| top 10 by duration';
  page = await query({ queryType: "federated", expr: text, editorMode: "builder" });
  assert.equal(await page.getByRole("textbox", { name: "Query 1" }).inputValue(), "{ duration > 1s }");
  await run();
  assert.ok((await frames())[0].rows > 0);
  await picture("federated");
});

test("a request by any id: trace, lines, exemplars, services, each with its way on", async () => {
  page = await query({ queryType: "request", expr: process.env.REQUEST_ID }, { width: 1500 });
  await run();
  const list = await frames();
  assert.equal(list[0].vis, "trace");
  assert.ok(list[0].rows > 5);
  assert.ok(list[0].fields[0].links.includes("Log lines of the request"));
  const lines = list.find((f) => f.type === "log-lines");
  assert.ok(lines.rows > 0);
  assert.deepEqual(lines.fields.find((f) => f.name === "trace_id").links, ["Request"]);
  assert.ok(list.find((f) => f.name === "Services").rows > 2);
  await picture("request");
});

test("what is different, the service map, marks, and errors with their reason", async () => {
  const cases = [
    [{ queryType: "outliers", expr: "{duration > 1s}" }, (l) => assert.equal(l[0].fields[0].name, "Attribute")],
    [
      { queryType: "services", expr: "" },
      (l) =>
        assert.deepEqual(
          l.map((f) => f.vis),
          ["nodeGraph", "nodeGraph"],
        ),
    ],
    [
      { queryType: "behind", expr: "rate(http_server_request_duration_seconds_count[1m])" },
      (l) => assert.ok(l[0].rows > 0),
    ],
    [{ queryType: "deploys", expr: "" }, (l) => assert.ok(l[0].fields.some((f) => f.name === "time"))],
    [{ queryType: "alerts", expr: "" }, (l) => assert.ok(l[0].fields.some((f) => f.name === "title"))],
  ];
  for (const [q, check] of cases) {
    page = await query(q, { width: 1400 });
    await run();
    check(await frames());
    await picture(q.queryType);
    assert.deepEqual(page.problems, []);
    await page.close();
  }
  page = await query({ queryType: "promql", expr: "sum(", editorMode: "code" });
  await run();
  await page
    .getByTestId("answer")
    .getByText(/parse error/)
    .first()
    .waitFor();
  page.problems = page.problems.filter((p) => !p.startsWith("400 "));
});

test("variables list services, labels and values", async () => {
  const values = async (q) => {
    page = await open(browser, { view: "variable", query: JSON.stringify(q) });
    await page.waitForFunction(() => document.querySelector('[data-testid="values"]')?.textContent !== "[]");
    return shown(page, "values");
  };
  assert.ok((await values({ kind: "services" })).includes("checkout"));
  await page.close();
  assert.ok((await values({ kind: "tag_values", label: "resource.cloud.region" })).includes("eu-west-1"));
  await page.close();
  assert.ok((await values({ kind: "log_label_values", label: "service_name" })).includes("payment"));
  await page.close();
  assert.ok(
    (await values({ kind: "query", expr: "sum by (service_name) (kafka_consumer_lag)", label: "service_name" }))
      .length > 0,
  );
  await page.close();
  const list = await values({
    kind: "label_values",
    label: "service_name",
    expr: "http_server_request_duration_seconds_count",
  });
  assert.ok(list.includes("frontend") && !list.includes("braid"));
  await picture("variable");
});
