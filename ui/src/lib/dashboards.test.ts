import { describe, expect, test } from "vitest";
import {
  arrange,
  fromGrafana,
  interpolate,
  type Panel,
  parseVariableQuery,
  variableText,
  fold,
  fromOwn,
} from "./dashboards";

const grafana = {
  title: "Shop",
  time: { from: "now-6h", to: "now" },
  templating: {
    list: [
      { name: "ds", type: "datasource" },
      {
        name: "job",
        type: "query",
        query: { query: "label_values(up, job)" },
        current: { value: ["a", "b"] },
        multi: true,
      },
      { name: "odd", type: "adhoc" },
    ],
  },
  panels: [
    {
      type: "timeseries",
      title: "Rate",
      gridPos: { x: 0, y: 1, w: 12, h: 8 },
      fieldConfig: { defaults: { unit: "reqps", custom: { stacking: { mode: "normal" } } } },
      targets: [{ expr: 'rate(x{job=~"$job"}[$__rate_interval])', legendFormat: "{{job}}" }],
    },
    { type: "logs", title: "Logs", datasource: { type: "loki" }, targets: [{ expr: '{service_name="a"}' }] },
    {
      type: "row",
      title: "More",
      collapsed: true,
      panels: [{ type: "piechart", title: "Pie", targets: [{ expr: "up" }] }],
    },
    { type: "text", options: { content: "<script>alert(1)</script>" } },
    { type: "stat", title: "Broken" },
  ],
};

describe("fromGrafana", () => {
  const { dashboard: d, notes } = fromGrafana(JSON.stringify(grafana), "x");
  test("panels, types, units and places", () => {
    expect(d.title).toBe("Shop");
    expect(d.panels.map((p) => p.type)).toEqual(["area", "logs", "row", "line", "text", "stat"]);
    expect(d.panels[0]).toMatchObject({
      unit: "/s",
      x: 0,
      y: 1,
      w: 12,
      h: 8,
      queries: [{ language: "promql", legend: "{{job}}" }],
    });
    expect(d.panels[1]?.queries[0]?.language).toBe("logql");
    expect(d).toMatchObject({ from: "now-6h", to: "now" });
  });
  test("variables", () =>
    expect(d.variables).toEqual([{ name: "job", query: "label_values(up, job)", value: "a,b", multi: true }]));
  test("what has no counterpart is said", () => expect(notes).toHaveLength(3));
  test("the API's envelope reads too, other JSON does not", () => {
    expect(fromGrafana(JSON.stringify({ dashboard: grafana }), "x").dashboard.title).toBe("Shop");
    expect(() => fromGrafana('{"a":1}', "x")).toThrow(/no panels/);
    expect(() => fromGrafana("nonsense", "x")).toThrow();
  });
});

test("interpolate", () => {
  expect(
    interpolate('rate(x{a=~"$job",b="${env:regex}"}[$__rate_interval]) / $unknown', { job: "a|b", env: "p" }, 30, 3600),
  ).toBe('rate(x{a=~"a|b",b="p"}[120s]) / $unknown');
  expect([variableText(""), variableText("a"), variableText("a.b,c")]).toEqual([".*", "a", "(a\\.b|c)"]);
});

test("parseVariableQuery", () => {
  expect(parseVariableQuery('label_values(up{a="b"}, job)')).toEqual({ metric: 'up{a="b"}', label: "job" });
  expect(parseVariableQuery("label_values(job)")).toEqual({ metric: "", label: "job" });
  expect(parseVariableQuery("a, b")).toEqual(["a", "b"]);
  expect(parseVariableQuery("query_result(up)")).toBeUndefined();
});

test("arrange keeps panels apart and lets them rise", () => {
  const p = (id: string, x: number, y: number, w = 12, h = 4): Panel => ({
    id,
    title: "",
    type: "line",
    queries: [],
    x,
    y,
    w,
    h,
  });
  expect(arrange([p("a", 0, 0), p("b", 6, 2), p("c", 0, 90)]).map((q) => [q.x, q.y])).toEqual([
    [0, 0],
    [6, 4],
    [0, 8],
  ]);
  expect(arrange([p("a", 0, 0), p("b", 0, 0)], "b").map((q) => q.y)).toEqual([4, 0]);
});

test("a folded row hides its panels, and what is below rises", () => {
  const p = (id: string, y: number, h: number, type: Panel["type"] = "line"): Panel => ({
    id,
    title: id,
    type,
    queries: [],
    x: 0,
    y,
    w: 24,
    h,
  });
  const all = [p("top", 0, 4), p("r1", 4, 1, "row"), p("a", 5, 8), p("b", 13, 2), p("r2", 15, 1, "row"), p("c", 16, 3)];
  const ys = (list: Panel[]) => Object.fromEntries(list.map((x) => [x.id, x.y]));
  expect(ys(fold(all, new Set(["r1"])))).toEqual({ top: 0, r1: 4, r2: 5, c: 6 });
  expect(ys(fold(all, new Set(["r1", "r2"])))).toEqual({ top: 0, r1: 4, r2: 5 });
  expect(ys(fold(all, new Set(["r2"])))).toEqual({ top: 0, r1: 4, a: 5, b: 13, r2: 15 });
  expect(fold(all, new Set())).toEqual(all);
});

test("an exported dashboard is told from one of Grafana", () => {
  const own = { id: "x", title: "T", panels: [{ id: "p", queries: [], w: 3 }], variables: [] };
  expect(fromOwn(JSON.stringify(own), "new")).toMatchObject({ id: "new", title: "T" });
  expect(fromOwn('{"panels":[{"gridPos":{}}],"templating":{}}', "new")).toBeUndefined();
  expect(fromOwn("nonsense", "new")).toBeUndefined();
  expect(fromOwn("null", "new")).toBeUndefined();
});
