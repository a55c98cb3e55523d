// Editors, saved things, rules, metrics, status and dashboards, on the real server fed by braid generate.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { ask, base, copied, launch, open, param, settled, test, until, visit } from "./browser.mjs";

let browser;
before(async () => {
  browser = await launch();
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

/** Replaces the text of the page's first editor. */
async function write(page, text) {
  const editor = page.locator(".cm-content").first();
  await editor.click();
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText(text);
  await editor.filter({ hasText: text }).waitFor();
}

/** Waits until the page's first editor holds a text. */
const holds = (page, text) => page.locator(".cm-content").first().filter({ hasText: text }).waitFor();

const counts = async (page) => {
  await visit(page, "/explore/logs");
  await write(page, "{service_name=");
  await page.keyboard.type('"');
  const list = page.locator(".cm-tooltip-autocomplete");
  const option = list.locator("li").filter({ hasText: "checkout" });
  // Names come without counts when counting takes long; asked again, the counts are there.
  await until(
    async (i) => {
      if (i > 0) await page.keyboard.press("Escape");
      if (i > 0) await page.keyboard.press("Control+Space");
      await option.first().waitFor();
    },
    async () => /\d/.test((await option.locator(".cm-completionDetail").allTextContents())[0] ?? ""),
  );
  await option.click();
  await holds(page, 'service_name="checkout"');
  // A label and a string are told apart by their colours.
  await page.waitForFunction(() => {
    const parts = [...document.querySelectorAll(".cm-line span")];
    return new Set(parts.map((e) => getComputedStyle(e).color)).size >= 2;
  });
};
// What is half written is refused by the server's check: that is no fault of the page.
flow("editor: values come with counts, colours by grammar", counts, { errors: true });

flow(
  "editor: a mistake is marked at its place, with what to write instead",
  async (page) => {
    await visit(page, "/explore/logs");
    await write(page, 'sum(ratee({service_name="checkout"}[5m]))');
    const mark = page.locator(".cm-lintRange-error");
    await mark.first().waitFor();
    assert.equal(await mark.first().textContent(), "ratee");
    const fix = page.getByRole("button", { name: "Write rate" });
    await until(
      async () => {
        await page.mouse.move(0, 0);
        await mark.first().hover();
      },
      () => fix.isVisible(),
    );
    await fix.click();
    await holds(page, "sum(rate(");
  },
  { errors: true },
);

flow("a short link leads to the same place", async (page) => {
  const q = '{service_name="checkout"} | detected_level="error"';
  await visit(page, `/explore/logs?q=${encodeURIComponent(q)}`);
  const link = await copied(
    page,
    async () => {
      await page.getByRole("button", { name: "Share" }).first().click();
      await page.getByRole("menuitem", { name: "Copy short link" }).click();
    },
    "Short link copied",
  );
  assert.match(link, new RegExp(`^${base}/l/[a-z0-9]+$`));
  await page.goto(link);
  await page.waitForURL(/\/explore\/logs/);
  await param(page, "q", q);
  await param(page, "from", /^\d+$/);
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
  await param(page, "cols", "k8s_pod_name");
  await param(page, "q", '{service_name="cart"}');
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
  await page.getByText(/would have fired 0 times|has no value/).waitFor();
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByRole("button", { name: "Create the rule" }).click();
  const row = page.getByRole("button", { name: new RegExp(name) }).first();
  await row.waitFor();
  await param(page, "tab", "rules");
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
  await page.getByText(/read .*samples/).waitFor();
  assert.equal(await page.locator(".cm-lintRange-error").count(), 0);
  await page.getByRole("button", { name: "Table", exact: true }).click();
  await page
    .getByRole("table", { name: /Values of/ })
    .first()
    .waitFor();
  await param(page, "style", "table");
});

flow("metrics: the builder and the code say the same, both ways", async (page) => {
  const q = "sum by (service_name) (rate(http_server_request_duration_seconds_count[5m]))";
  await visit(page, `/explore/metrics?edit=builder&q=${encodeURIComponent(q)}`);
  await page.getByLabel("Add a step").selectOption("topk");
  await param(page, "q", `topk (5, ${q})`);
  await page.getByLabel("Number of topk").fill("3");
  await page.getByLabel("Number of topk").press("Enter");
  await param(page, "q", `topk (3, ${q})`);
  await page.getByLabel("Offset").fill("10m");
  await page.getByLabel("Offset").press("Enter");
  await param(page, "q", /\[5m\] offset 10m\)/);
  await page.getByLabel("Add a step").selectOption("multiply");
  await param(page, "q", /\) \* 100$/);
  await page.getByLabel("By or without").first().selectOption("without");
  await param(page, "q", /sum without \(service_name\)/);
  // Back in the code stands the same; what the builder cannot show stays there, and it says so.
  await page.getByRole("button", { name: "Code", exact: true }).click();
  await holds(page, "topk (3, sum without (service_name)");
  await write(page, "sum(rate(a[5m])) / sum(rate(b[5m]))");
  await page.keyboard.press("Control+Enter");
  await page.getByRole("button", { name: "Builder", exact: true }).click();
  await page.getByText(/says more than the builder can show/).waitFor();
  await holds(page, "sum(rate(a[5m])) / sum(rate(b[5m]))");
});

flow("logs: columns by menu, lines around of the pod", async (page) => {
  await visit(page, `/explore/logs?q=${encodeURIComponent('{service_name="checkout"}')}`);
  await page.getByRole("button", { name: /^Columns/ }).click();
  await page.getByLabel("Add a field").fill("k8s_pod_name");
  await page.getByRole("button", { name: "k8s_pod_name", exact: true }).click();
  await param(page, "cols", "k8s_pod_name");
  await page.keyboard.press("Escape");
  await page.locator('.logrow .cell[title="k8s_pod_name"]').first().waitFor();
  await page.locator(".logrow .fold").first().click();
  await page.getByRole("button", { name: "Lines around" }).first().click();
  await page.getByLabel("Lines of").selectOption({ value: "all" });
  await page.getByText("this", { exact: true }).first().waitFor();
  await page.getByText(/^10 records before, \d+ after, within a day of it/).waitFor();
  await page.getByRole("button", { name: "More", exact: true }).click();
  await page.getByText(/^20 records before/).waitFor();
});

flow("logs: the field rail counts every record that matches, not those loaded", async (page) => {
  const to = Date.now() - 120_000;
  const from = to - 1_800_000;
  const q = '{service_name="frontend"}';
  const facet = (
    await ask(
      `/api/braid/v1/logs/facets?q=${encodeURIComponent(q)}&start=${from}000000&end=${to}000000&field=k8s_pod_name&top=10`,
    )
  ).facets[0];
  const total = facet.values.reduce((n, v) => n + v.count, facet.missing + facet.other);
  assert.ok(facet.values[0].count > 500, "more records than a page holds");
  await visit(page, `/explore/logs?from=${from}&to=${to}&q=${encodeURIComponent(q)}`);
  const rail = page.getByRole("complementary", { name: "Fields" });
  await rail.getByLabel("Find a field").fill("k8s_pod_name");
  await rail.locator("summary").filter({ hasText: "k8s_pod_name" }).click();
  const { value, count } = facet.values[0];
  const said = `${count.toLocaleString("en-GB")} records of ${total.toLocaleString("en-GB")}`;
  await rail.locator(".facet").filter({ hasText: value }).getByTitle(said).waitFor();
  // A query with a parser is counted by the query engine instead.
  await visit(page, `/explore/logs?from=${from}&to=${to}&q=${encodeURIComponent('{service_name="checkout"} | json')}`);
  await rail.locator(".facet").filter({ hasText: "checkout" }).first().waitFor();
  // Lines that the parser cannot read count too.
  await page.locator(".hist rect").first().waitFor();
  await settled(page);
  assert.equal(await page.locator(".notice.error").count(), 0);
});

flow("logs: numbers in every style", async (page) => {
  const q = 'sum by (service_name) (count_over_time({service_name=~".+"}[1m]))';
  await visit(page, `/explore/logs?q=${encodeURIComponent(q)}`);
  await page.getByRole("button", { name: "Bars" }).click();
  await param(page, "style", "bar");
  await page.getByRole("button", { name: "Table" }).click();
  await page.getByRole("table", { name: "Values" }).getByText("checkout").waitFor();
});

flow("status: what series are made of, what lies on disk", async (page) => {
  await visit(page, "/status?tab=cardinality");
  await page.getByRole("table", { name: "Series by metric" }).waitFor();
  await page.getByRole("button", { name: "service_name", exact: true }).click();
  const values = page.getByRole("table", { name: "Values of service_name" });
  await values.getByRole("button", { name: "frontend", exact: true }).click();
  await param(page, "match", '{service_name="frontend"}');
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
    await param(page, "v.service", "cart");
    await page.getByRole("checkbox", { name: "payment" }).check();
    await param(page, "v.service", "cart,payment");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: /panel r/ }).click();
    await page.getByRole("region", { name: "panel a" }).waitFor({ state: "detached" });
    await param(page, "fold", "r");
  } finally {
    await fetch(url, { method: "DELETE" });
  }
});
