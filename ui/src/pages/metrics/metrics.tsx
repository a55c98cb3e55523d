/** Metrics: several queries on one chart, by code or builder, with the requests behind every point. */
import { Play, Plus, X } from "lucide-react";
import { useEffect, useState } from "react";
import { rangeParams } from "@/api/prom";
import { firstQuery, expand, toBuilder } from "@/lib/promql";
import { chooseStep } from "@/lib/time";
import { QueryEditor } from "@/parts/editor";
import { Empty } from "@/parts/feedback";
import { ShareMenu } from "@/parts/menus";
import { SavedMenu, useRemember } from "@/parts/saved";
import { useRange } from "@/shell/range";
import { useTitle } from "@/shell/shell";
import { useParams } from "@/shell/url";
import { MetricBrowser } from "./browser";
import { BuilderForm } from "./builder";
import { MetricChart } from "./chart";

/** Queries in the URL: q, q2, q3 … are $a, $b, $c … */
export const slots = ["a", "b", "c", "d", "e", "f", "g", "h"] as const;
const paramOf = (i: number) => (i === 0 ? "q" : `q${i + 1}`);

export default function MetricsPage() {
  const [params, setParams] = useParams();
  const { range } = useRange();
  useTitle("Metrics");
  const window = range.toMs - range.fromMs > 7_200_000 ? "5m" : "1m";
  const last = slots.findLastIndex((_, i) => params[paramOf(i)] !== undefined);
  const texts = slots.slice(0, Math.max(1, last + 1)).map((_, i) => params[paramOf(i)] ?? "");
  const queries = Object.fromEntries(texts.map((t, k) => [slots[k]!, t]));
  const off = new Set((params.off ?? "").split(",").filter(Boolean));
  const shown = texts
    .map((t, i) => ({ slot: slots[i]!, query: expand(t, queries) }))
    .filter((q) => q.query.trim() && !off.has(q.slot));
  useRemember("metrics", texts[0] ?? "");

  // A link that names a metric asks its first question.
  useEffect(() => {
    if (params.metric && !params.q)
      setParams({ metric: undefined, q: firstQuery(params.metric, params.type ?? "", window) }, true);
  }, [params.metric, params.q, params.type, setParams, window]);

  const set = (i: number, text: string) => setParams({ [paramOf(i)]: text || undefined });
  const remove = (i: number) => {
    const rest = texts.filter((_, j) => j !== i);
    setParams(Object.fromEntries(slots.map((_, j) => [paramOf(j), rest[j] || undefined])));
  };
  const step = chooseStep(range, 240);
  const browse = params.browse !== "off";
  return (
    <div className="page">
      <div className="page-head">
        <h1>Metrics</h1>
        <div className="push row">
          <SavedMenu page="metrics" query={texts[0] ?? ""} onPick={(q) => set(0, q)} />
          <ShareMenu
            data={{
              name: "metrics",
              call: { path: "/api/v1/query_range", params: rangeParams(shown[0]?.query ?? "", range, step) },
            }}
          />
        </div>
      </div>
      <div className="explore" data-rail={browse ? "on" : "off"} style={{ alignItems: "start", alignContent: "start" }}>
        {browse && (
          <MetricBrowser
            onPick={(metric, type) =>
              set(
                texts[0]
                  ? texts.length < slots.length && !texts.includes("")
                    ? texts.length
                    : Math.max(0, texts.indexOf(""))
                  : 0,
                firstQuery(metric, type, window),
              )
            }
            onReplace={(metric, type) => set(0, firstQuery(metric, type, window))}
          />
        )}
        <div className="col">
          {texts.map((t, i) => (
            <QueryRow
              key={slots[i]}
              slot={slots[i]!}
              text={t}
              off={off.has(slots[i]!)}
              builder={params.edit === "builder"}
              onText={(q) => set(i, q)}
              onOff={(o) => {
                if (o) off.add(slots[i]!);
                else off.delete(slots[i]!);
                setParams({ off: [...off].join(",") || undefined });
              }}
              onRemove={texts.length > 1 ? () => remove(i) : undefined}
            />
          ))}
          <div className="row wrap">
            <button
              type="button"
              className="btn small"
              disabled={texts.length >= slots.length || !texts[texts.length - 1]}
              onClick={() => setParams({ [paramOf(texts.length)]: texts.length >= 2 ? "$a / $b" : (texts[0] ?? "") })}
            >
              <Plus size={13} /> Query
            </button>
            <span className="group">
              {["code", "builder"].map((m) => (
                <button
                  key={m}
                  type="button"
                  className="btn small"
                  aria-pressed={(params.edit ?? "code") === m}
                  onClick={() => setParams({ edit: m === "code" ? undefined : m }, true)}
                >
                  {m === "code" ? "Code" : "Builder"}
                </button>
              ))}
            </span>
            <span className="muted small hide-narrow">Queries can refer to each other: $a / $b</span>
            <button
              type="button"
              className="btn small ghost push"
              onClick={() => setParams({ browse: browse ? "off" : undefined }, true)}
            >
              {browse ? "Hide the list" : "List of metrics"}
            </button>
          </div>
          {shown.length === 0 ? (
            <Empty title="Choose a metric">Pick one from the list, or write PromQL above.</Empty>
          ) : (
            <MetricChart queries={shown} />
          )}
        </div>
      </div>
    </div>
  );
}

interface RowProps {
  slot: string;
  text: string;
  off: boolean;
  builder: boolean;
  onText: (q: string) => void;
  onOff: (off: boolean) => void;
  onRemove: (() => void) | undefined;
}

function QueryRow({ slot, text, off, builder, onText, onOff, onRemove }: RowProps) {
  const [draft, setDraft] = useState(text);
  useEffect(() => setDraft(text), [text]);
  const parsed = builder ? toBuilder(text) : undefined;
  return (
    <div className="query-bar">
      <button
        type="button"
        className="btn"
        aria-pressed={!off}
        title={off ? `Show $${slot}` : `Hide $${slot}`}
        onClick={() => onOff(!off)}
      >
        ${slot}
      </button>
      {parsed ? (
        <BuilderForm value={parsed} onChange={onText} />
      ) : (
        <div className="col grow" style={{ gap: 2 }}>
          <QueryEditor
            language="promql"
            label={`PromQL query ${slot}`}
            value={draft}
            onChange={setDraft}
            onRun={onText}
            placeholder="sum by (service_name) (rate(http_server_request_duration_seconds_count[5m]))"
          />
          {builder && (
            <span className="small muted" role="note">
              This query says more than the builder can show: it stays code. The builder knows one metric with filters,
              a function over a window, and steps such as sum, topk, quantile or × 100 on top.
            </span>
          )}
        </div>
      )}
      {!parsed && (
        <button type="button" className="btn primary" onClick={() => onText(draft)}>
          <Play size={14} /> Run
        </button>
      )}
      {onRemove && (
        <button type="button" className="btn icon ghost" aria-label={`Remove query ${slot}`} onClick={onRemove}>
          <X size={14} />
        </button>
      )}
    </div>
  );
}
