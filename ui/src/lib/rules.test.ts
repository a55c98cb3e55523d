import { expect, test } from "vitest";
import { draftOf, emptyDraft, fullExpr, parseLabels, splitThreshold, toRule, toYaml, unwrap, virtual } from "./rules";

test("a threshold is cut off the end of an expression only", () => {
  expect(splitThreshold("sum(rate(x[5m])) > 0.5")).toEqual({ expr: "sum(rate(x[5m]))", op: ">", threshold: "0.5" });
  expect(splitThreshold("up == 0")).toEqual({ expr: "up", op: "==", threshold: "0" });
  expect(splitThreshold("sum(x > 5)")).toBeUndefined();
  expect(splitThreshold("absent(up)")).toBeUndefined();
});

test("an expression with operators is put in parentheses", () => {
  expect(fullExpr({ ...emptyDraft, expr: "a / b", threshold: "1" })).toBe("(a / b) > 1");
  expect(fullExpr({ ...emptyDraft, expr: 'sum(a{x="-"} / b)', threshold: "1" })).toBe('sum(a{x="-"} / b) > 1');
  expect(fullExpr({ ...emptyDraft, expr: "absent(up)" })).toBe("absent(up)");
});

test("the rule file quotes what people type", () => {
  expect(toYaml({ ...emptyDraft, name: 'A "b": c', expr: "up\n== 0", summary: "x: #y" })).toBe(
    'groups:\n  - name: from-the-interface\n    rules:\n      - alert: "A \\"b\\": c"\n        expr: |\n          up\n          == 0\n        for: 5m\n        labels:\n          severity: "warning"\n        annotations:\n          summary: "x: #y"\n',
  );
});

test("LogQL and TraceQL travel as virtual selectors, and come back", () => {
  const q = 'sum(count_over_time({a=~"x.*"} |= `{"b` [5m]))';
  expect(unwrap(virtual("logql", q))).toEqual({ language: "logql", expr: q });
  expect(unwrap("up")).toEqual({ language: "promql", expr: "up" });
  expect(fullExpr({ ...emptyDraft, language: "traceql", expr: "{ status = error } | rate()", threshold: "2" })).toBe(
    '{__traceql__="{ status = error } | rate()"} > 2',
  );
});

test("a rule that exists becomes a draft and the same rule again", () => {
  const rule = {
    name: "Slow",
    query: '{__logql__="sum(rate({a=\\"b\\"}[5m]))"} >= 0.5',
    duration: 90,
    labels: { severity: "page", team: "shop" },
    annotations: { summary: "slow", runbook_url: "https://example.org/slow" },
  };
  const d = draftOf(rule);
  expect(d).toMatchObject({ language: "logql", op: ">=", threshold: "0.5", holdFor: "90s", labels: "team=shop" });
  expect(toRule(d)).toEqual({
    alert: "Slow",
    expr: rule.query,
    for: "90s",
    labels: rule.labels,
    annotations: rule.annotations,
  });
});

test("labels are read strictly", () => {
  expect(parseLabels('team=shop, tier="1",')).toEqual({ team: "shop", tier: "1" });
  expect(parseLabels("")).toEqual({});
  expect(parseLabels("team")).toBeUndefined();
  expect(parseLabels("__x__=1")).toBeUndefined();
});
