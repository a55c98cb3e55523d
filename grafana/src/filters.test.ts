import { addMatcher, adHoc, formatVariable, labelOf, spanAttribute, toggle, withFilters } from "./filters";
import type { BraidQuery } from "./types";

const tags = ["resource.service.name", "span.http.route", "name", "resource.k8s.pod.name"];
const q = (queryType: BraidQuery["queryType"], expr: string): BraidQuery => ({ refId: "A", queryType, expr });

test("one name of a filter is the right name in each language", () => {
  expect(spanAttribute("service_name", tags)).toBe("resource.service.name");
  expect(spanAttribute("http_route", tags)).toBe("span.http.route");
  expect(spanAttribute("unknown", tags)).toBe(".unknown");
  expect(spanAttribute("resource.x", tags)).toBe("resource.x");
  expect(labelOf("resource.k8s.pod.name")).toBe("k8s_pod_name");
  expect(labelOf(".a.b")).toBe("a_b");
});

test("ad-hoc filters reach every language, and nothing that has no selectors", () => {
  const filters = [
    { key: "service_name", operator: "=", value: "checkout" },
    { key: "http_route", operator: "=|", value: "/a", values: ["/a.b", "/c"] },
  ];
  const of = (type: BraidQuery["queryType"], expr: string) => withFilters(q(type, expr), filters, tags).expr;
  expect(of("promql", "rate(x[5m])")).toBe('rate(x{service_name="checkout", http_route=~"/a\\\\.b|/c"}[5m])');
  expect(of("logql", '{a="b"}')).toBe('{a="b"} | service_name="checkout" | http_route=~"/a\\\\.b|/c"');
  expect(of("traceql", "{}")).toBe('{resource.service.name="checkout" && span.http.route=~"/a\\\\.b|/c"}');
  expect(of("request", "req-1")).toBe("req-1");
  expect(of("promql", "")).toBe("");
  expect(withFilters(q("promql", "x"), [{ key: "", operator: "=", value: "" }], tags).expr).toBe("x");
  expect(adHoc({ key: "a", operator: "!=|", value: "b" })).toEqual({ label: "a", op: "!~", value: "b" });
});

test("a filter of log details is put in, turned round, and taken out", () => {
  const is = { label: "level", op: "=", value: "error" };
  const one = toggle(q("logql", '{a="b"}'), is, tags);
  expect(one.expr).toBe('{a="b"} | level="error"');
  expect(toggle(one, { ...is, op: "!=" }, tags).expr).toBe('{a="b"} | level!="error"');
  expect(toggle(one, is, tags).expr).toBe('{a="b"}');
  expect(addMatcher('{a="b"}', "logql", { label: "k8s.pod", op: "=", value: "x" })).toBe('{a="b"} | k8s_pod="x"');
});

test("variables stand within quotes; several values are a pattern", () => {
  expect(formatVariable('a"b', {})).toBe('a\\"b');
  expect(formatVariable("a.b", { multi: true })).toBe("a\\\\.b");
  expect(formatVariable(["a.b", "c"], { multi: true })).toBe("(a\\\\.b|c)");
  expect(formatVariable(["a"], { multi: true })).toBe("a");
});
