// Editors, saved things, rules, metrics, status and dashboards, on the real server fed by braid generate.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { base, launch, open, settled, visit } from "./browser.mjs";

let browser;
before(async () => {
  browser = await launch();
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

/** Replaces the text of the page's first editor. */
async function write(page, text) {
  await page.locator(".cm-content").first().click();
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText(text);
}

const counts = async (page) => {
  await visit(page, "/explore/logs");
  await page.locator(".cm-content").first().click();
  await page.keyboard.press("Control+a");
  await page.keyboard.press("Delete");
  await page.keyboard.insertText("{service_name=");
  await page.keyboard.type('"');
  const option = page.locator(".cm-tooltip-autocomplete li").filter({ hasText: "checkout" });
  await option.waitFor({ timeout: 30_000 });
  assert.match(await option.locator(".cm-completionDetail").textContent(), /\d/);
  await option.click();
  assert.match(await page.locator(".cm-content").first().textContent(), /service_name="checkout"/);
  // A label and a string are told apart by their colours.
  const colors = await page
    .locator(".cm-line span")
    .evaluateAll((list) => [...new Set(list.map((e) => getComputedStyle(e).color))]);
  assert.ok(colors.length >= 2, String(colors));
};
// What is half written is refused by the server's check: that is no fault of the page.
flow("editor: values come with counts, colours by grammar", counts, { errors: true });

flow(
  "editor: a mistake is marked at its place, with what to write instead",
  async (page) => {
    await visit(page, "/explore/logs");
    await write(page, 'sum(ratee({service_name="checkout"}[5m]))');
    const mark = page.locator(".cm-lintRange-error");
    await mark.first().waitFor({ timeout: 30_000 });
    assert.equal(await mark.first().textContent(), "ratee");
    await mark.first().hover();
    await page.getByRole("button", { name: "Write rate" }).click();
    assert.match(await page.locator(".cm-content").first().textContent(), /sum\(rate\(/);
  },
  { errors: true },
);

flow("a short link leads to the same place", async (page) => {
  const q = '{service_name="checkout"} | detected_level="error"';
  await visit(page, `/explore/logs?q=${encodeURIComponent(q)}`);
  await page.getByRole("button", { name: "Share" }).first().click();
  await page.getByRole("menuitem", { name: "Copy short link" }).click();
  await page.getByText("Short link copied").waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(link, new RegExp(`^${base}/l/[a-z0-9]+$`));
  await page.goto(link);
  await page.waitForURL(/\/explore\/logs/);
  assert.equal(params(page).get("q"), q);
  assert.match(params(page).get("from"), /^\d+$/);
});

flow(
  "a link that is not known says so",
  async (page) => {
    await visit(page, "/l/nosuchlink");
    await page.getByRole("heading", { name: "This link is not known" }).waitFor();
  },
  { errors: true },
);

flow("a view is saved for everyone, opened, deleted", async (page) => {
  const name = `flow ${Date.now()}`;
  await visit(page, `/explore/logs?q=${encodeURIComponent('{service_name="cart"}')}&cols=k8s_pod_name`);
  await page.getByRole("button", { name: "Saved" }).click();
  await page.getByRole("menuitem", { name: /Save this view/ }).click();
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText(`Saved as ${name}`).waitFor();
  await visit(page, "/explore/logs");
  await page.getByRole("button", { name: "Saved" }).click();
  await page.getByRole("menuitem", { name }).click();
  await page.waitForFunction(() => new URL(location.href).searchParams.get("cols") === "k8s_pod_name");
  assert.equal(params(page).get("q"), '{service_name="cart"}');
  await page.getByRole("button", { name: "Saved" }).click();
  await page.getByRole("menuitem", { name: /Save this view/ }).click();
  await page.getByRole("button", { name: `Delete ${name}` }).click();
  await page.getByRole("button", { name: `Delete ${name}` }).waitFor({ state: "detached" });
});

flow("a note is written on the charts and taken away", async (page) => {
  const text = `flow ${Date.now()}`;
  await visit(
    page,
    `/explore/metrics?q=${encodeURIComponent("sum(rate(http_server_request_duration_seconds_count[1m]))")}`,
  );
  await page.getByRole("button", { name: /^Note/ }).click();
  const dialog = page.getByRole("dialog", { name: "Notes on charts" });
  await dialog.getByLabel("What happened").fill(text);
  await dialog.getByRole("button", { name: "Add the note" }).click();
  const list = dialog.getByRole("list", { name: "Notes in this range" });
  await list.getByText(text).waitFor();
  await page.keyboard.press("Escape");
  await visit(page, "/explore/logs");
  await page.locator(".hist svg text").filter({ hasText: text }).waitFor();
  await page.getByRole("button", { name: /^Notes/ }).click();
  await page.getByRole("button", { name: `Delete the note ${text}` }).click();
  await page.getByRole("button", { name: `Delete the note ${text}` }).waitFor({ state: "detached" });
});

flow("a rule over logs is tried, created, changed and deleted", async (page) => {
  const name = `Flow${Date.now()}`;
  page.on("dialog", (d) => void d.accept());
  const expr = 'sum by (service_name) (count_over_time({service_name=~".+"} | detected_level="error" [5m]))';
  await visit(page, `/alerting?tab=make&lang=logql&days=1&expr=${encodeURIComponent(expr)}`);
  await page.getByLabel("Threshold").fill("100000");
  await page.getByText(/would have fired 0 times|has no value/).waitFor({ timeout: 60_000 });
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByRole("button", { name: "Create the rule" }).click();
  const row = page.getByRole("button", { name: new RegExp(name) }).first();
  await row.waitFor();
  assert.equal(params(page).get("tab"), "rules");
  await page.getByRole("link", { name: `Change ${name}` }).click();
  await page.getByText("This changes the rule").waitFor();
  await page.getByLabel("Threshold").fill("200000");
  await page.getByRole("button", { name: "Save the rule" }).click();
  await page.getByRole("button", { name: /200000/ }).waitFor();
  await page.getByRole("button", { name: `Delete ${name}` }).click();
  await row.waitFor({ state: "detached" });
});

flow(
  "a rule that cannot be evaluated is refused in words",
  async (page) => {
    await visit(page, `/alerting?tab=make&name=Broken&than=1&expr=${encodeURIComponent("sum(")}`);
    await page.getByRole("button", { name: "Create the rule" }).click();
    await page
      .getByText(/could not parse expression/)
      .first()
      .waitFor();
  },
  { errors: true },
);

flow("metrics: several queries, math, the period before, table", async (page) => {
  const a = "sum(rate(http_server_request_duration_seconds_sum[1m]))";
  const b = "sum(rate(http_server_request_duration_seconds_count[1m]))";
  await visit(
    page,
    `/explore/metrics?q=${encodeURIComponent(a)}&q2=${encodeURIComponent(b)}&q3=${encodeURIComponent("$a / $b")}&compare=before`,
  );
  const legend = page.getByRole("region", { name: "Chart" });
  for (const slot of ["$a", "$b", "$c"]) await legend.getByText(slot).first().waitFor();
  assert.equal(await page.locator(".cm-lintRange-error").count(), 0);
  await page.getByText(/samples read/).waitFor();
  await page.getByRole("button", { name: "Table", exact: true }).click();
  await page
    .getByRole("table", { name: /Values of/ })
    .first()
    .waitFor();
  assert.equal(params(page).get("style"), "table");
});

flow("logs: columns by menu, lines around of the pod", async (page) => {
  await visit(page, `/explore/logs?q=${encodeURIComponent('{service_name="checkout"}')}`);
  await page.getByRole("button", { name: /^Columns/ }).click();
  await page.getByLabel("Add a field").fill("k8s_pod_name");
  await page.getByRole("button", { name: "k8s_pod_name", exact: true }).click();
  await page.waitForFunction(() => new URL(location.href).searchParams.get("cols") === "k8s_pod_name");
  await page.keyboard.press("Escape");
  await page.locator('.logrow .cell[title="k8s_pod_name"]').first().waitFor();
  await page.locator(".logrow .fold").first().click();
  await page.getByRole("button", { name: "Lines around" }).first().click();
  await page.getByLabel("Lines of").selectOption({ value: "all" });
  await settled(page);
  await page.getByText("this", { exact: true }).first().waitFor();
});

flow("logs: numbers in every style", async (page) => {
  const q = 'sum by (service_name) (count_over_time({service_name=~".+"}[1m]))';
  await visit(page, `/explore/logs?q=${encodeURIComponent(q)}`);
  await page.getByRole("button", { name: "Bars" }).click();
  assert.equal(params(page).get("style"), "bar");
  await page.getByRole("button", { name: "Table" }).click();
  await page.getByRole("table", { name: "Values" }).getByText("checkout").waitFor();
});

flow("status: what series are made of, what lies on disk", async (page) => {
  await visit(page, "/status?tab=cardinality");
  await page.getByRole("table", { name: "Series by metric" }).waitFor();
  await page.getByRole("button", { name: "service_name", exact: true }).click();
  const values = page.getByRole("table", { name: "Values of service_name" });
  await values.getByRole("button", { name: "frontend" }).click();
  await page.waitForFunction(() => new URL(location.href).searchParams.get("match") === '{service_name="frontend"}');
  await visit(page, "/status?tab=ingest");
  // What is always there: spans and logs may not have left the ingest log for a block yet.
  const disk = page.getByRole("table", { name: "Storage by tenant and signal" });
  await disk.getByText("ingest log").waitFor();
  await disk.getByText("metrics", { exact: true }).first().waitFor();
  await page.getByRole("table", { name: "Storage by service" }).getByText("checkout").waitFor();
});

flow("dashboards: a row folds, a variable takes several values", async (page) => {
  const panel = (id, y, h, type, expr) => ({
    id,
    title: `panel ${id}`,
    type,
    queries: expr ? [{ language: "promql", expr }] : [],
    x: 0,
    y,
    w: 24,
    h,
  });
  const document = {
    id: "flow-rows",
    title: "Flow rows",
    panels: [
      panel("r", 0, 1, "row"),
      panel(
        "a",
        1,
        6,
        "line",
        'sum by (service_name) (rate(traces_spanmetrics_calls_total{service_name=~"$service"}[1m]))',
      ),
    ],
    variables: [{ name: "service", query: "checkout,cart,payment", value: "" }],
  };
  const url = `${base}/api/braid/v1/dashboards/flow-rows`;
  await fetch(url, { method: "PUT", body: JSON.stringify({ title: "Flow rows", document: JSON.stringify(document) }) });
  try {
    await visit(page, "/dashboards/flow-rows");
    await page.getByRole("region", { name: "panel a" }).waitFor();
    await page.getByRole("button", { name: /service: All/ }).click();
    await page.getByRole("checkbox", { name: "cart" }).check();
    await page.getByRole("checkbox", { name: "payment" }).check();
    await page.waitForFunction(() => new URL(location.href).searchParams.get("v.service") === "cart,payment");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: /panel r/ }).click();
    await page.getByRole("region", { name: "panel a" }).waitFor({ state: "detached" });
    assert.equal(params(page).get("fold"), "r");
  } finally {
    await fetch(url, { method: "DELETE" });
  }
});
