import { expect, test } from "vitest";
import { baseOf, placeAt } from "./complete";

/** "^" is the cursor. */
const at = (language: "logql" | "traceql", text: string) => placeAt(language, text.replace("^", ""), text.indexOf("^"));

test.each<["logql" | "traceql", string, string]>([
  ["logql", "^", "function"],
  ["logql", "su^", "function"],
  ["logql", "{^", "field"],
  ["logql", "{ser^", "field"],
  ["logql", '{a="b", ^', "field"],
  ["logql", '{a="b^', "value"],
  ["logql", "{a=^", "value"],
  ["logql", '{a="b"} | ^', "stage"],
  ["logql", '{a="b"} | js^', "stage"],
  ["logql", '{a="}{"} |= "x^', "none"],
  ["logql", "sum by (^", "field"],
  ["logql", '{a="b"} | json | status=^', "value"],
  ["traceql", "{ ^", "field"],
  ["traceql", "{ status = ^", "value"],
  ["traceql", '{ resource.service.name = "c^', "value"],
  ["traceql", '{ span.a = "b" && ^', "field"],
  ["traceql", "{ status = error } | ^", "stage"],
  ["traceql", "{ name ^", "operator"],
])("%s %s", (language, text, kind) => {
  expect(at(language, text).kind).toBe(kind);
});

test("a value knows its field and where it starts", () => {
  expect(at("logql", '{service_name="ch^')).toEqual({
    kind: "value",
    from: 15,
    field: "service_name",
    quote: true,
    base: "{}",
  });
  expect(at("traceql", "{ span.http.method = G^")).toMatchObject({ field: "span.http.method", quote: false });
});

test.each<["logql" | "traceql", string, string]>([
  ["logql", '{a="b", ', '{a="b"}'],
  ["logql", 'sum by (x) (rate({a="b"} |= "|" | ', '{a="b"} |= "|"'],
  ["logql", '{a="b"} | json | c="d" or ', '{a="b"}'],
  ["logql", '{a="b"} | json | c="d" and ', '{a="b"} | json | c="d"'],
  ["traceql", '{ resource.service.name = "a" && ', '{ resource.service.name = "a" }'],
  ["traceql", "{ status = error || ", "{ }"],
  ["traceql", "{ ", "{ }"],
])("values of a condition behind %s %s are counted among %s", (language, before, base) => {
  expect(baseOf(language, before)).toBe(base);
});
