import {
  CoreApp,
  type DataQueryRequest,
  type DataQueryResponse,
  type DataSourceInstanceSettings,
  dateTime,
  type LogRowModel,
  SupplementaryQueryType,
  toDataFrame,
} from "@grafana/data";
import {
  type BackendSrv,
  type BackendSrvRequest,
  type GrafanaLiveSrv,
  setBackendSrv,
  setGrafanaLiveSrv,
  type TemplateSrv,
} from "@grafana/runtime";
import { firstValueFrom, lastValueFrom, of, throwError, toArray } from "rxjs";
import { BraidDatasource } from "./datasource";
import { tailPath } from "./live";
import { Resources } from "./resources";
import type { BraidOptions, BraidQuery, VariableQuery } from "./types";
import type { VariableSupport } from "./variables";

const sent: BackendSrvRequest[] = [];
let answer: (r: BackendSrvRequest) => unknown = () => ({ results: {} });

const variables: Record<string, string | string[]> = { service: "checkout", many: ["a.b", "c"], id: "0af7+" };
const templates = {
  replace: (text = "", _: unknown, format?: (v: unknown, variable: object) => string) =>
    text.replace(/\$(service|many|id)\b/g, (_all, name: string) => {
      const v = variables[name] as string | string[];
      return format ? format(v, { multi: Array.isArray(v) }) : String(v);
    }),
} as unknown as TemplateSrv;

function make(): BraidDatasource {
  return new BraidDatasource(
    {
      id: 1,
      uid: "u",
      type: "braid-datasource",
      name: "Braid",
      jsonData: {},
      meta: { id: "braid-datasource" },
    } as unknown as DataSourceInstanceSettings<BraidOptions>,
    templates,
  );
}

const range = {
  from: dateTime(1_700_000_000_000),
  to: dateTime(1_700_000_600_000),
  raw: { from: "now-10m", to: "now" },
};
const request = (targets: BraidQuery[], more: Partial<DataQueryRequest<BraidQuery>> = {}) =>
  ({
    app: CoreApp.Explore,
    requestId: "r",
    interval: "10s",
    intervalMs: 10_000,
    range,
    scopedVars: {},
    targets,
    timezone: "utc",
    startTime: 0,
    ...more,
  }) as DataQueryRequest<BraidQuery>;

beforeEach(() => {
  sent.length = 0;
  answer = () => ({ results: {} });
  setBackendSrv({
    fetch: (r: BackendSrvRequest) => {
      sent.push(r);
      try {
        return of({ data: answer(r), status: 200, ok: true });
      } catch (e) {
        return throwError(() => e);
      }
    },
  } as unknown as BackendSrv);
});

const asked = () => (sent.find((r) => r.url.includes("/api/ds/query"))!.data as { queries: BraidQuery[] }).queries;

test("a query goes to the backend with its variables filled in; hidden and empty ones do not", async () => {
  await lastValueFrom(
    make().query(
      request([
        {
          refId: "A",
          queryType: "promql",
          expr: 'x{a="$service", b=~"$many"}[$__rate_interval]',
          legendFormat: "$service",
        },
        { refId: "B", queryType: "request", expr: "$id" },
        { refId: "C", queryType: "services", expr: "" },
        { refId: "D", queryType: "promql", expr: " " },
        { refId: "E", queryType: "promql", expr: "x", hide: true },
        { refId: "F", queryType: "outliers", expr: '{name="$service"}', baseline: '{name=~"$many"}' },
      ]),
    ),
  );
  expect(asked().map((q) => [q.refId, q.expr])).toEqual([
    ["A", 'x{a="checkout", b=~"(a\\\\.b|c)"}[$__rate_interval]'],
    ["B", "0af7+"],
    ["C", ""],
    ["F", '{name="checkout"}'],
  ]);
  expect(asked()[0]?.legendFormat).toBe("checkout");
  expect(asked()[3]?.baseline).toBe('{name=~"(a\\\\.b|c)"}');
});

test("ad-hoc filters wait for the attributes that TraceQL needs", async () => {
  answer = (r) => (r.url.includes("traces/tags") ? ["resource.service.name"] : { results: {} });
  await lastValueFrom(
    make().query(
      request([{ refId: "A", queryType: "traceql", expr: "{}" }], {
        filters: [{ key: "service_name", operator: "=", value: "x" }],
      }),
    ),
  );
  expect(asked()[0]?.expr).toBe('{resource.service.name="x"}');
});

test("live queries tail through Grafana Live, the others do not", async () => {
  const streams: unknown[] = [];
  setGrafanaLiveSrv({
    getDataStream: (options: unknown) => {
      streams.push(options);
      return of({ data: [toDataFrame({ fields: [{ name: "body", values: ["a line"] }] })] });
    },
  } as unknown as GrafanaLiveSrv);
  const targets: BraidQuery[] = [
    { refId: "A", queryType: "logql", expr: '{a="$service"}', live: true },
    { refId: "B", queryType: "promql", expr: "up" },
  ];
  const all = (await lastValueFrom(make().query(request(targets)).pipe(toArray()))) as DataQueryResponse[];
  expect(asked().map((q) => q.refId)).toEqual(["B"]);
  expect(streams).toMatchObject([{ addr: { scope: "ds", stream: "u", path: tailPath('{a="checkout"}') } }]);
  const lines = all.find((r) => r.state === "Streaming");
  expect(lines?.data[0].refId).toBe("A");
  expect(tailPath('{a="ü>>?"}')).toMatch(/^tail\/[\w-]+$/);
});

test("the lines around a line: those of the same process, before and after it", async () => {
  const row = {
    uid: "1",
    timeEpochMs: 1_700_000_000_500,
    labels: { service_name: "cart", k8s_pod_name: "p-1", trace_id: "x" },
  } as unknown as LogRowModel;
  await make().getLogRowContext(row, { direction: "FORWARD" as never, limit: 20 });
  await make().getLogRowContext(row, { direction: "BACKWARD" as never, limit: 20 });
  const [after, before] = sent.map((r) => r.data as { from: string; to: string; queries: BraidQuery[] });
  expect(after?.queries[0]).toMatchObject({
    queryType: "logql",
    expr: '{service_name="cart"} | k8s_pod_name="p-1"',
    direction: "forward",
    limit: 20,
  });
  expect(after?.from).toBe("1700000000500");
  expect(before?.queries[0]).toMatchObject({ direction: "backward" });
  expect(before?.to).toBe("1700000000501");
});

test("log lines have a volume, series of log lines a sample, nothing else either", () => {
  const ds = make();
  const lines: BraidQuery = { refId: "A", queryType: "logql", expr: '{a="b"}' };
  const series: BraidQuery = { refId: "B", queryType: "logql", expr: 'rate({a="b"} |= `c` [5m])' };
  const metric: BraidQuery = { refId: "C", queryType: "promql", expr: "up" };
  const volume = ds.getSupplementaryRequest(SupplementaryQueryType.LogsVolume, request([lines, series, metric]));
  expect(volume?.targets.map((t) => t.expr)).toEqual(['sum by (detected_level) (count_over_time({a="b"} [$__auto]))']);
  const sample = ds.getSupplementaryRequest(SupplementaryQueryType.LogsSample, request([lines, series, metric]));
  expect(sample?.targets.map((t) => t.expr)).toEqual(['{a="b"} |= `c`']);
  expect(ds.getSupplementaryRequest(SupplementaryQueryType.LogsVolume, request([metric]))).toBeUndefined();
});

test("filters of log details", () => {
  const ds = make();
  const q: BraidQuery = { refId: "A", queryType: "logql", expr: '{a="b"}' };
  const one = ds.toggleQueryFilter(q, { type: "FILTER_FOR" as never, options: { key: "level", value: "error" } });
  expect(one.expr).toBe('{a="b"} | level="error"');
  expect(ds.queryHasFilter(one, { key: "level", value: "error" })).toBe(true);
  expect(ds.modifyQuery(q, { type: "ADD_FILTER_OUT", options: { key: "x", value: "y" } }).expr).toBe(
    '{a="b"} | x!="y"',
  );
  expect(ds.modifyQuery(q, { type: "ADD_STRING_FILTER", options: { value: 'say "hi"' } }).expr).toBe(
    '{a="b"} |= "say \\"hi\\""',
  );
  expect(ds.modifyQuery(q, { type: "OTHER" })).toBe(q);
});

test("variables: lists from resources, and series of a query", async () => {
  const ds = make();
  const values = async (q: Partial<VariableQuery>) =>
    (
      (await firstValueFrom(
        (ds.variables as VariableSupport).query({ ...request([]), targets: [{ refId: "v", ...q }] } as never),
      )) as DataQueryResponse
    ).data.map((v) => v.text);
  answer = (r) =>
    r.url.endsWith("/services")
      ? ["checkout"]
      : r.url.includes("labels/job/values")
        ? ["api"]
        : { results: { A: { frames: [frame("one"), frame("one"), frame("two")] } } };
  const frame = (name: string) => ({
    schema: {
      refId: "A",
      fields: [
        { name: "Time", type: "time" },
        { name: "Value", type: "number", config: { displayNameFromDS: name } },
      ],
    },
    data: { values: [[1], [2]] },
  });
  expect(await values({ kind: "services" })).toEqual(["checkout"]);
  expect(await values({ kind: "label_values", label: "job", expr: 'up{x="$service"}' })).toEqual(["api"]);
  expect(sent.at(-1)?.params).toMatchObject({ "match[]": 'up{x="checkout"}' });
  expect(await values({ kind: "label_values" })).toEqual([]);
  expect(await values({ kind: "query", expr: "up", label: "job" })).toEqual(["one", "two"]);
  expect(asked()[0]).toMatchObject({ instant: true, legendFormat: "{{job}}" });
});

test("resources are asked once a minute, and an editor goes on without them", async () => {
  let now = 0;
  const paths: string[] = [];
  let broken = false;
  const r = new Resources(
    async (path) => {
      paths.push(path);
      if (broken) {
        throw { data: { message: "Braid cannot be reached" } };
      }
      return ["a"] as never;
    },
    () => now,
  );
  expect(await r.labelValues("a/b")).toEqual(["a"]);
  await r.labelValues("a/b");
  expect(paths).toEqual(["labels/a%2Fb/values"]);
  now = 61_000;
  broken = true;
  expect(await r.labelValues("a/b")).toEqual([]);
  expect(r.lastError).toBe("Braid cannot be reached");
  broken = false;
  expect(await r.labelValues("a/b")).toEqual(["a"]);
  expect(r.lastError).toBeUndefined();
});
