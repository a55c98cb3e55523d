import { expect, test } from "vitest";
import { backtest, emptyDraft, fullExpr, splitThreshold, toYaml } from "./rules";

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

test("back-test: long enough, without holes", () => {
  const p = (values: string) => [...values].flatMap((c, i) => (c === "_" ? [] : [[i * 60_000, Number(c)] as const]));
  expect(backtest([p("0999900")], ">", 5, 120_000, 60_000)).toEqual([{ fromMs: 180_000, toMs: 300_000, series: 0 }]);
  expect(backtest([p("0990990")], ">", 5, 120_000, 60_000)).toEqual([]);
  expect(backtest([p("99_99")], ">", 5, 120_000, 60_000)).toEqual([]);
  expect(backtest([p("99")], ">", 5, 0, 60_000)).toHaveLength(1);
});
