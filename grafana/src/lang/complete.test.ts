import { complete, type Lists, placeOf } from "./complete";

const lists: Lists = {
  metrics: async () => ["up", "http_requests_total"],
  labels: async (match) => (match ? ["code"] : ["__name__", "job"]),
  labelValues: async (label, match) => [`${label} of ${match ?? "all"}`],
  logLabels: async () => ["service_name"],
  logLabelValues: async (label) => [`${label} value`],
  tags: async () => ["resource.service.name", "name"],
  tagValues: async (tag) => [`${tag} value`],
};

/** "|" marks the cursor... which TraceQL and LogQL use too: "¦" it is. */
const at = (marked: string) => ({ text: marked.replace("¦", ""), offset: marked.indexOf("¦") });

test.each([
  ["¦", { at: "start" }],
  ["rat¦", { at: "start" }],
  ["sum(¦", { at: "start" }],
  ["up{¦", { at: "label", selector: "up{}" }],
  ['up{job="x", co¦', { at: "label", selector: 'up{job="x"}' }],
  ['up{job="¦', { at: "value", label: "job", quoted: true, selector: "up{}" }],
  ['up{a="b",job=~"x¦"}', { at: "value", label: "job", quoted: true, selector: 'up{a="b"}' }],
  ["up{job=¦", { at: "value", label: "job", quoted: false, selector: "up{}" }],
  ["sum by (¦", { at: "grouping" }],
  ["rate(up[¦", { at: "window" }],
  ["rate(up[5¦", { at: "window" }],
  ['{a="b"} | ¦', { at: "stage" }],
  ['{a="b"} | js¦', { at: "stage" }],
  ["{status=¦", { at: "value", label: "status", quoted: false }],
  ["{status=error && ¦", { at: "label" }],
  ['"in a string¦', { at: "nothing" }],
])("where the cursor is in %s", (marked, want) => {
  const { text, offset } = at(marked);
  expect(placeOf(text, offset)).toMatchObject(want);
});

const labels = async (type: Parameters<typeof complete>[0], marked: string) => {
  const { text, offset } = at(marked);
  return (await complete(type, text, offset, lists)).map((s) => s.label);
};

test("PromQL: metrics and functions, labels, values that exist with the rest of the selector", async () => {
  expect(await labels("promql", "ht¦")).toEqual(expect.arrayContaining(["http_requests_total", "rate", "sum"]));
  expect(await labels("promql", "up{¦")).toEqual(["code"]);
  expect(await labels("promql", 'up{a="b", job="¦')).toEqual(['job of up{a="b"}']);
  expect(await labels("promql", "sum by (¦")).toEqual(["job"]);
  expect(await labels("promql", "rate(up[¦")).toContain("$__rate_interval");
  expect(await labels("promql", "up ¦")).toEqual([]);
});

test("LogQL and TraceQL: stages, attributes, keywords", async () => {
  expect(await labels("logql", '{service_name="¦')).toEqual(["service_name value"]);
  expect(await labels("logql", '{a="b"} | ¦')).toEqual(
    expect.arrayContaining(["json", "logfmt", "unwrap", "service_name"]),
  );
  expect(await labels("logql", 'rate({a="b"}[¦')).toContain("$__auto");
  expect(await labels("traceql", "{¦")).toEqual(expect.arrayContaining(["status", "resource.service.name"]));
  expect((await labels("traceql", "{¦")).filter((l) => l === "name")).toHaveLength(1);
  expect(await labels("traceql", "{status=¦")).toEqual(["ok", "error", "unset"]);
  expect(await labels("traceql", '{resource.service.name="¦')).toEqual(["resource.service.name value"]);
  expect(await labels("traceql", "{} | ¦")).toEqual(expect.arrayContaining(["rate", "select"]));
});

test("across signals: each line in its own language, then names and kinds of ids", async () => {
  expect(await labels("federated", "a = ¦")).toEqual(["traces", "logs", "exemplars"]);
  expect(await labels("federated", "a = traces {status=¦")).toEqual(["ok", "error", "unset"]);
  expect(await labels("federated", 'a = logs {service_name="¦')).toEqual(["service_name value"]);
  expect(await labels("federated", "a = traces { }\nfrom ¦")).toEqual(["a"]);
  expect(await labels("federated", "a = traces { }\nfrom a by ¦")).toContain("request");
  expect(await labels("federated", "a = traces { }\nfrom a\n¦")).toEqual(
    expect.arrayContaining(["semi join", "where", "a"]),
  );
});

test("a value is quoted as its place wants it", async () => {
  const odd: Lists = { ...lists, labelValues: async () => ['a"b'] };
  expect((await complete("promql", 'up{x="', 6, odd))[0]?.insert).toBe('a\\"b');
  expect((await complete("promql", "up{x=", 5, odd))[0]?.insert).toBe('"a\\"b"');
});
