import { describe, expect, test } from "vitest";
import {
  addFilter,
  allLogs,
  countable,
  searchedTexts,
  selectorOf,
  topValuesQuery,
  volumeQuery,
  contextScopes,
} from "./logql";

describe("addFilter", () => {
  const labels = ["service_name", "env"];
  test.each<[string, string, "=" | "!=", string, string]>([
    [allLogs, "service_name", "=", "cart", '{service_name="cart"}'],
    [allLogs, "service_name", "!=", "cart", '{service_name=~".+", service_name!="cart"}'],
    ['{service_name="cart"}', "service_name", "=", "pay", '{service_name="pay"}'],
    ['{service_name="cart"} |= "x"', "env", "=", "prod", '{service_name="cart", env="prod"} |= "x"'],
    ['{service_name="cart"}', "http.status_code", "=", "500", '{service_name="cart"} | http_status_code="500"'],
    ['{service_name="cart"} | a="1"', "a", "=", "1", '{service_name="cart"} | a="1"'],
    ['{service_name="cart"} | a="1"', "a", "!=", "1", '{service_name="cart"} | a!="1"'],
    ['{a="x}y"} | json', "env", "=", 'q"', '{a="x}y", env="q\\""} | json'],
    ["", "env", "=", "prod", '{env="prod"}'],
    ['{a="b"}', "", "=", "needle", '{a="b"} |= "needle"'],
    ["sum(rate(x[1m]))", "k", "=", "v", `${allLogs} | k="v"`],
  ])("%s + %s%s%s", (query, field, op, value, want) => {
    expect(addFilter(query, field, op, value, labels)).toBe(want);
  });
});

test("queries made from queries", () => {
  expect(volumeQuery('{a="b"}', 15)).toBe('sum by (detected_level) (count_over_time({a="b"} [15s]))');
  expect(topValuesQuery('{a="b"}', "user.id", "json", 3600, 5)).toBe(
    'topk(5, sum by (user_id) (count_over_time({a="b"} | json | drop __error__, __error_details__ | user_id!="" [3600s])))',
  );
  expect(topValuesQuery('{a="b"} | json', "x", "json", 1, 5)).not.toContain("json | json");
  expect(selectorOf({ a: "b", level: "x", "c.d": "e", f: 'g"' })).toBe('{a="b", f="g\\""}');
});

test("a query with a parser counts lines that it cannot read", () => {
  const q = '{service_name="a"}';
  expect(countable(q)).toBe(q);
  expect(countable(`${q} |= "| json"`)).toBe(`${q} |= "| json"`);
  expect(countable(`${q} | json | x="1"`)).toBe(`${q} | json | x="1" | drop __error__, __error_details__`);
  expect(countable(countable(`${q} | logfmt`))).toBe(countable(`${q} | logfmt`));
});

test("searchedTexts", () => {
  expect(searchedTexts('{a="b"} |= "x \\"y\\"" |= `z` != "no"')).toEqual(['x "y"', "z"]);
});

test("lines around are of what the record knows", () => {
  const scopes = contextScopes({ labels: { service_name: "a", k8s_pod_name: "a-1", x: "y" }, traceId: "" });
  expect(scopes.map((s) => s.id)).toEqual(["stream", "k8s_pod_name", "service_name", "all"]);
  expect(scopes[1]?.selector).toBe('{k8s_pod_name="a-1"}');
});
