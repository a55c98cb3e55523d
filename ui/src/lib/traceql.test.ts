import { describe, expect, test } from "vitest";
import { addCondition, condition, countable, emptyForm, isTraceMetric, spanFilter, toForm, toQuery } from "./traceql";

test.each([
  ["{ kind = server } | select(span.a)", "{ kind = server }"],
  ["", "{ }"],
  ["{ a = 1 } >> { b = 2 }", "{ a = 1 } >> { b = 2 }"],
  ["{ a = 1 } || { b = 2 }", "{ a = 1 } || { b = 2 }"],
  ["{ a = 1 } && { b = 2 } | count() > 2", "{ a = 1 } && { b = 2 }"],
])("numbers of %s are of %s", (q, want) => expect(countable(q)).toBe(want));

test.each([
  ["{ }", "status = error", "{ status = error }"],
  ["", "status = error", "{ status = error }"],
  ["{ status = error }", "status = error", "{ status = error }"],
  ['{ name = "a}b" }', "kind = server", '{ name = "a}b" && kind = server }'],
  ["{ a = 1 || b = 2 }", "c = 3", "{ (a = 1 || b = 2) && c = 3 }"],
  ["{ a = 1 } | select(b)", "c = 3", "{ a = 1 && c = 3 } | select(b)"],
  ["{ a = 1 } >> { b = 2 }", "c = 3", "{ a = 1 } >> { b = 2 } && { c = 3 }"],
])("%s + %s", (q, c, want) => expect(addCondition(q, c)).toBe(want));

test("conditions quote what needs it", () => {
  expect(condition("span.http.status_code", "=", "500")).toBe("span.http.status_code = 500");
  expect(condition("span.user", "!=", 'a"b')).toBe('span.user != "a\\"b"');
  expect(condition("span.odd name", "=", "x")).toBe('span."odd name" = "x"');
  expect(condition("status", "=", "error")).toBe("status = error");
});

describe("form and query say the same", () => {
  test.each([
    "{ }",
    '{ resource.service.name = "cart" }',
    '{ resource.service.name = "cart" && name = "GET /" && status = error && duration >= 1s && duration <= 2s }',
    '{ resource.service.name = "cart" && span.x = "y" && (a || b) }',
  ])("%s", (q) => expect(toQuery(toForm(q)!)).toBe(q));
  test("what the form cannot show stays code", () => {
    expect(toForm("{ a } >> { b }")).toBeUndefined();
    expect(toForm("{ a || b }")).toBeUndefined();
    expect(toForm("{ } | rate()")).toBeUndefined();
    expect(toForm("")).toEqual(emptyForm);
  });
});

test("span filter and kinds of query", () => {
  expect(spanFilter("{ a = 1 } | select(b)")).toBe("{ a = 1 }");
  expect(spanFilter("{ a } >> { b }")).toBe("{ a } >> { b }");
  expect(isTraceMetric("{ } | rate() by(resource.service.name)")).toBe(true);
  expect(isTraceMetric("{ } | select(a)")).toBe(false);
});
