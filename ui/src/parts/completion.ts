/** What the editor offers while one types: fields and values of the server, each with how often it occurs. */
import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { type CompleteStrategy, newCompleteStrategy } from "@prometheus-io/codemirror-promql";
import { headers } from "@/api/http";
import { detectedFields, instantLogMetric, logLabels, logLabelValues } from "@/api/loki";
import { type TsdbStatus, tsdbStatus } from "@/api/prom";
import { searchTags, tagValues, traceMetrics } from "@/api/tempo";
import { bareValues, functions, placeAt, stages, traceIntrinsics } from "@/lib/complete";
import { count, plural } from "@/lib/format";
import { labelName, topValuesQuery } from "@/lib/logql";
import type { Range } from "@/lib/time";

const quoted = (v: string) => JSON.stringify(v);

/** Completion of LogQL and TraceQL, which asks the server for fields and values. */
export function completer(language: "logql" | "traceql", range: () => Range) {
  return async (c: CompletionContext): Promise<CompletionResult | null> => {
    const place = placeAt(language, c.state.doc.toString(), c.pos);
    const give = (from: number, options: Completion[]): CompletionResult => ({ from, options, validFor: /^[\w.:-]*$/ });
    const stop = new AbortController();
    c.addEventListener("abort", () => stop.abort());
    try {
      switch (place.kind) {
        case "field":
          return give(place.from, await fields(language, range(), stop.signal));
        case "value": {
          const bare = language === "traceql" ? bareValues[place.field] : undefined;
          const values = bare
            ? bare.map((value): Counted => ({ value }))
            : await valuesOf(language, place.field, place.base, range(), stop.signal);
          return give(
            place.from,
            values.map((v, i) => ({
              label: v.value,
              type: "text",
              apply: place.quote || bare ? v.value : quoted(v.value),
              // The list is in order of frequency; equal matches keep it.
              boost: Math.max(-99, 99 - i),
              ...(v.count === undefined ? {} : { detail: count(v.count) }),
            })),
          );
        }
        case "stage":
          return give(
            place.from,
            stages[language].map((s) => ({ ...s, type: "keyword" })),
          );
        case "function":
          if (!c.explicit && place.from === c.pos) return null;
          return give(
            place.from,
            functions[language].map((f) => ({ label: f, type: "function" })),
          );
        default:
          return null;
      }
    } catch {
      return null; // completion is a help: its failure is not the query's
    }
  };
}

async function fields(language: "logql" | "traceql", r: Range, signal: AbortSignal): Promise<Completion[]> {
  if (language === "logql") {
    const [labels, detected] = await Promise.all([
      logLabels(r, signal),
      detectedFields("{}", lately(r), signal).catch(() => []),
    ]);
    const values = new Map(detected.map((f) => [f.label, f.cardinality]));
    return [...new Set([...labels, ...values.keys()])].map((label) => ({
      label,
      type: "property",
      ...(values.get(label) ? { detail: plural(values.get(label) ?? 0, "value") } : {}),
    }));
  }
  const scopes = await searchTags(r, signal);
  const tags = scopes.flatMap((s) =>
    s.tags.map((tag) => ({
      label: s.scope === "intrinsic" ? tag : `${s.scope}.${tag}`,
      detail: s.scope,
      type: "property",
    })),
  );
  return [
    ...traceIntrinsics.map((label) => ({ label, detail: "intrinsic", type: "keyword" })),
    ...tags.filter((x) => !traceIntrinsics.includes(x.label)),
  ];
}

interface Counted {
  value: string;
  count?: number;
}

/** The end of a range: counts while typing must be quick, and the newest half hour says enough. */
const lately = (r: Range): Range => ({ fromMs: Math.max(r.fromMs, r.toMs - 1_800_000), toMs: r.toMs });

/** How long counts may take; the names alone come sooner. */
const patience = 1500;

/** How long counts are good for, and how many are kept. */
const fresh = 60_000;
const mostKept = 50;

/** Counts by what was asked: those that came too late for one list are there for the next. */
const kept = new Map<string, { at: number; answer: Promise<Counted[]> }>();

function keptCounts(key: string, ask: () => Promise<Counted[]>): Promise<Counted[]> {
  const had = kept.get(key);
  if (had && Date.now() - had.at < fresh) return had.answer;
  const answer = ask().catch((): Counted[] => {
    kept.delete(key);
    return [];
  });
  kept.delete(key);
  kept.set(key, { at: Date.now(), answer });
  for (const old of kept.keys()) if (kept.size > mostKept) kept.delete(old);
  return answer;
}

async function valuesOf(
  language: "logql" | "traceql",
  field: string,
  base: string,
  range: Range,
  signal: AbortSignal,
): Promise<Counted[]> {
  const names =
    language === "logql"
      ? logLabelValues(labelName(field), range, undefined, signal)
      : tagValues(field, range, undefined, signal).then((l) => l.map((v) => v.value));
  // Not ended with the list that asks: whoever types on wants the same counts a moment later.
  const counted = keptCounts(`${language}\0${field}\0${base}\0${range.toMs - range.fromMs}`, () =>
    countsOf(language, field, base, lately(range)),
  );
  const late = new Promise<Counted[]>((done) => setTimeout(() => done([]), patience));
  const [known, top] = await Promise.all([names.catch(() => []), Promise.race([counted, late])]);
  const have = new Set(top.map((t) => t.value));
  return [...top, ...known.filter((v) => !have.has(v)).map((value) => ({ value }))];
}

async function countsOf(language: "logql" | "traceql", field: string, base: string, r: Range): Promise<Counted[]> {
  const seconds = Math.max(1, Math.ceil((r.toMs - r.fromMs) / 1000));
  const most = 200;
  let list: Counted[];
  if (language === "logql") {
    const name = labelName(field);
    const rows = await instantLogMetric(topValuesQuery(base, name, undefined, seconds, most), r.toMs);
    list = rows.map((s) => ({ value: s.metric[name] ?? "", count: s.value }));
  } else {
    const q = `${base} | count_over_time() by (${field}) | topk(${most})`;
    const rows = (await traceMetrics(q, r, seconds)).series;
    list = rows.map((s) => ({
      value: s.labels[field] ?? Object.values(s.labels)[0] ?? "",
      count: s.points.reduce((n, p) => n + p[1], 0),
    }));
  }
  return list.filter((v) => v.value && v.value !== "nil").sort((a, b) => (b.count ?? 0) - (a.count ?? 0));
}

/** Prometheus's own completion, with the number of series of every name and value. */
export function promqlCompletion(): CompleteStrategy {
  const inner = newCompleteStrategy({
    remote: {
      httpMethod: "GET",
      fetchFn: (input, init) => fetch(input, { ...init, headers: { ...headers() } }),
    },
    maxMetricsMetadata: 20_000,
  });
  let status: { at: number; answer: Promise<TsdbStatus> } | undefined;
  const counts = () => {
    if (!status || Date.now() - status.at > 60_000)
      status = { at: Date.now(), answer: tsdbStatus(undefined, 10_000).catch(() => ({})) };
    return status.answer;
  };
  return {
    promQL: async (context) => {
      const [result, s] = await Promise.all([inner.promQL(context), counts()]);
      if (!result) return result;
      return { ...result, options: withCounts(result.options, context.state.sliceDoc(0, result.from), s) };
    },
    destroy: () => inner.destroy?.(),
  };
}

/** Options that name metrics, labels or values of the label before the cursor, with their counts. */
export function withCounts(options: readonly Completion[], before: string, s: TsdbStatus): Completion[] {
  const table = (list: { name: string; value: number }[] | undefined) =>
    new Map((list ?? []).map((x) => [x.name, x.value]));
  const metrics = table(s.seriesCountByMetricName);
  const labels = table(s.labelValueCountByLabelName);
  const pairs = table(s.seriesCountByLabelValuePair);
  const label = /([\w.]+)"?\s*(?:=~|!~|!=|=)\s*["'`]?$/.exec(before)?.[1];
  return options.map((o) => {
    const detail = (n: number | undefined, what: string) =>
      n === undefined ? o : { ...o, detail: `${o.detail ? `${o.detail} · ` : ""}${plural(n, what, what)}` };
    if (o.type === "text" && label) return detail(pairs.get(`${label}=${o.label}`), "series");
    if (o.type !== "constant") return o;
    return metrics.has(o.label) ? detail(metrics.get(o.label), "series") : detail(labels.get(o.label), "values");
  });
}
