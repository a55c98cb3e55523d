import { describe, expect, test } from "vitest";
import {
  addMatcher,
  expand,
  firstQuery,
  fromBuilder,
  parseMatchers,
  seriesSelector,
  toBuilder,
  withoutReferences,
} from "./promql";

describe("builder and code say the same", () => {
  test.each([
    "up",
    'up{job="a"}',
    'up{job=~"a|b", env!="x,y"}',
    "rate(http_requests_total[5m])",
    "sum (rate(http_requests_total[5m]))",
    'sum by (job, code) (rate(http_requests_total{env="p"}[1m]))',
    "histogram_quantile(0.99, sum by (le, route) (rate(x_seconds_bucket[5m])))",
    "histogram_quantile(0.5, sum by (route) (rate(x_seconds[5m])))",
    '{"http.server.duration", env="p"}',
    "topk(5, sum by (route) (rate(x_total[5m])))",
    'bottomk by (job) (3, up{a="("})',
    "sum without (pod, instance) (increase(x_total[1h]))",
    "rate(x_total[5m] offset 1h)",
    "up offset 1d",
    "sum (rate(x_total[5m])) * 100",
    "(sum (x) + 1) * 2",
    "sum (x) / 1024 / 1024",
    "max by (host) (abs(delta(x[10m])))",
    "clamp_min(avg (x), 0)",
    "quantile by (job) (0.9, x)",
    "histogram_quantile(0.9, sum by (le, route) (rate(x_seconds_bucket[5m] offset 1w))) * 1000",
  ])("%s", (q) => expect(fromBuilder(toBuilder(q)!).replace(/\s/g, "")).toBe(q.replace(/\s/g, "")));
  test("aggregation written behind reads too", () => {
    expect(fromBuilder(toBuilder("sum(rate(x[5m])) by (job)")!)).toBe("sum by (job) (rate(x[5m]))");
  });
  test("what was added by hand is a step of its own", () => {
    expect(toBuilder('topk(3, sum by (job) (rate(x_total{a="b"}[1m] offset 5m))) / 60')).toEqual({
      metric: "x_total",
      matchers: [{ name: "a", op: "=", value: "b" }],
      fn: "rate",
      window: "1m",
      offset: "5m",
      steps: [
        { kind: "agg", op: "sum", param: "", without: false, labels: ["job"] },
        { kind: "agg", op: "topk", param: "3", without: false, labels: [] },
        { kind: "math", op: "/", number: "60" },
      ],
    });
  });
  test.each([
    "a / b",
    "sum(a) + sum(b)",
    "sum(rate(a[5m])) / sum(rate(b[5m]))",
    "rate(sum(x)[5m:1m])",
    "x + 1 * 2",
    "2 * x",
    "x @ start()",
    "sum(x) > 5",
    "topk(n, x)",
    "rate(x)",
    'label_replace(x, "a", "b", "c", "d")',
    "x{",
  ])("%s stays code", (q) => expect(toBuilder(q)).toBeUndefined());
});

test("matchers with quotes and commas", () => {
  expect(parseMatchers('a="x\\"y,}", b=~`z`')).toEqual([
    { name: "a", op: "=", value: 'x"y,}' },
    { name: "b", op: "=~", value: "z" },
  ]);
  expect(parseMatchers("a=")).toBeUndefined();
});

test("first queries fit the type", () => {
  expect(firstQuery("x_bytes", "gauge", "1m")).toBe("x_bytes");
  expect(firstQuery("x_total", "counter", "1m")).toBe("sum (rate(x_total[1m]))");
  expect(firstQuery("x_seconds_bucket", "", "1m")).toBe(
    "histogram_quantile(0.95, sum by (le) (rate(x_seconds_bucket[1m])))",
  );
});

test("math refers to other queries, never in a circle", () => {
  expect(expand("$a / $b", { a: "x", b: "sum(y)" })).toBe("(x) / (sum(y))");
  expect(expand("$a", { a: "$b + 1", b: "$a" })).toBe("(($a) + 1)");
  expect(expand("$z", {})).toBe("$z");
});

test("a series leads to its selector", () => {
  expect(seriesSelector('sum by (job) (rate(x_total{env="p", job=~".+"}[5m]))', { job: "a" })).toBe(
    'x_total{env="p", job="a"}',
  );
  expect(seriesSelector("a / b", {})).toBe("a / b");
  expect(addMatcher("sum (rate(x[5m]))", { name: "job", op: "=", value: "a" })).toBe('sum (rate(x{job="a"}[5m]))');
});

test.each([
  ["$a / $b", "aa / aa"],
  ["rate(x[$__rate_interval])", "rate(x[1m              ])"],
  ["x[${w}:$s]", "x[1m  :aa]"],
  ['x{a=~"^b$"}', 'x{a=~"^b$"}'],
])("%s is checked as %s", (text, plain) => {
  expect(withoutReferences(text)).toBe(plain);
  expect(plain.length).toBe(text.length);
});
