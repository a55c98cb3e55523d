import { addToLogQL, addToPromQL, addToTraceQL, hasMatcher, removeMatcher } from "./matchers";

const m = { label: "a", op: "=", value: "b" };

test.each([
  ["up", 'up{a="b"}'],
  ["up{}", 'up{a="b"}'],
  ['up{x="y"}', 'up{x="y", a="b"}'],
  ['up{x="y",}', 'up{x="y",a="b"}'],
  ['{x="}"}', '{x="}", a="b"}'],
  [
    "sum by (job) (rate(x[5m])) / on (job) group_left (z) y",
    'sum by (job) (rate(x{a="b"}[5m])) / on (job) group_left (z) y{a="b"}',
  ],
  ["sum(x) by (job)", 'sum(x{a="b"}) by (job)'],
  ["x offset 5m > bool 3 and y unless z", 'x{a="b"} offset 5m > bool 3 and y{a="b"} unless z{a="b"}'],
  [
    "histogram_quantile(0.9, sum(rate(h_bucket[$__rate_interval])) by (le))",
    'histogram_quantile(0.9, sum(rate(h_bucket{a="b"}[$__rate_interval])) by (le))',
  ],
  ["time() - job:x:sum", 'time() - job:x:sum{a="b"}'],
  ["x @ end()", 'x{a="b"} @ end()'],
  ["1 + 1", "1 + 1"],
  ["a-b", 'a{a="b"}-b{a="b"}'],
])("PromQL %s", (expr, want) => expect(addToPromQL(expr, m)).toBe(want));

test.each([
  ['{x="y"}', '{x="y"} | a="b"'],
  ['{x="y"} |= "z" | json', '{x="y"} |= "z" | json | a="b"'],
  ['sum(rate({x="y"} | json [5m])) by (z)', 'sum(rate({x="y"} | json | a="b" [5m])) by (z)'],
  ['rate({x="y"}[5m]) / rate({z="y"}[5m])', 'rate({x="y"} | a="b"[5m]) / rate({z="y"} | a="b"[5m])'],
  ['{x="y"} | c != "d" | line_format "{{.e}}"', '{x="y"} | c != "d" | line_format "{{.e}}" | a="b"'],
])("LogQL %s", (expr, want) => expect(addToLogQL(expr, m)).toBe(want));

test.each([
  ["{}", '{a="b"}'],
  ["{ }", '{ a="b"}'],
  ["{status=error}", '{status=error && a="b"}'],
  ["{x=1 || y=2}", '{(x=1 || y=2) && a="b"}'],
  ["{x=1} >> {y=2} | rate() by(z)", '{x=1 && a="b"} >> {y=2 && a="b"} | rate() by(z)'],
])("TraceQL %s", (expr, want) => expect(addToTraceQL(expr, m)).toBe(want));

test.each([
  ['up{a="b"}', "up{}"],
  ['up{x="y", a="b"}', 'up{x="y"}'],
  ['up{a="b", x="y"}', 'up{x="y"}'],
  ['{x="y"} | a="b"', '{x="y"}'],
  ['{status=error && a="b"}', "{status=error}"],
  ['sum(x{a="b"}) / sum(y{a="b"})', "sum(x{}) / sum(y{})"],
  ["up", "up"],
])("taken out of %s", (expr, want) => {
  expect(hasMatcher(expr, m)).toBe(expr !== want);
  expect(removeMatcher(expr, m)).toBe(want);
});
