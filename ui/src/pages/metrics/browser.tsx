/** Every metric with its type, unit, help and number of series. */
import { useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, useState } from "react";
import { labelValues, metadata, tsdbStatus } from "@/api/prom";
import { count } from "@/lib/format";
import { ErrorNotice, Loading } from "@/parts/feedback";
import { HowToSend } from "@/parts/how-to-send";

interface Entry {
  name: string;
  type: string;
  unit: string;
  help: string;
  series: number | undefined;
}

const suffixes = /_(bucket|count|sum|total)$/;

export function useMetricList() {
  const names = useQuery({
    queryKey: ["metric-names"],
    queryFn: ({ signal }) => labelValues("__name__", undefined, undefined, signal),
    staleTime: 30_000,
  });
  const meta = useQuery({
    queryKey: ["metadata"],
    queryFn: ({ signal }) => metadata(signal),
    staleTime: 60_000,
    retry: false,
  });
  const status = useQuery({
    queryKey: ["tsdb", "names"],
    queryFn: ({ signal }) => tsdbStatus(signal, 10_000),
    staleTime: 60_000,
    retry: false,
  });
  const list = useMemo(() => {
    const series = new Map((status.data?.seriesCountByMetricName ?? []).map((s) => [s.name, s.value]));
    return (names.data ?? []).map((name): Entry => {
      const m = meta.data?.[name]?.[0] ?? meta.data?.[name.replace(suffixes, "")]?.[0];
      return { name, type: m?.type ?? "", unit: m?.unit ?? "", help: m?.help ?? "", series: series.get(name) };
    });
  }, [names.data, meta.data, status.data]);
  return { list, query: names };
}

interface Props {
  /** Adds the metric as a query of its own. */
  onPick: (metric: string, type: string) => void;
  onReplace: (metric: string, type: string) => void;
}

export function MetricBrowser({ onPick, onReplace }: Props) {
  const { list, query } = useMetricList();
  const [find, setFind] = useState("");
  const [type, setType] = useState("");
  const scroll = useRef<HTMLDivElement>(null);
  const words = find.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = list.filter(
    (m) =>
      (!type || m.type === type) &&
      words.every((w) => m.name.toLowerCase().includes(w) || m.help.toLowerCase().includes(w)),
  );
  const virtual = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => 42,
    overscan: 8,
  });
  const types = [...new Set(list.map((m) => m.type))].filter(Boolean).sort();
  if (query.isSuccess && list.length === 0) return <HowToSend signal="metrics" />;
  return (
    <aside className="panel rail metric-rail" aria-label="Metrics">
      <div className="row" style={{ padding: 8 }}>
        <input
          className="input grow"
          placeholder={`Find in ${list.length} metrics`}
          aria-label="Find a metric"
          value={find}
          onChange={(e) => setFind(e.target.value)}
          data-shortcut="fields"
        />
        <select
          className="select"
          aria-label="Type"
          value={type}
          onChange={(e) => setType(e.target.value)}
          style={{ width: 74 }}
        >
          <option value="">type</option>
          {types.map((t) => (
            <option key={t}>{t}</option>
          ))}
        </select>
      </div>
      <Loading on={query.isFetching} />
      <ErrorNotice error={query.error} />
      <div className="scroll grow" ref={scroll}>
        <ul style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {virtual.getVirtualItems().map((v) => {
            const m = shown[v.index];
            return (
              m && (
                <li key={m.name} style={{ position: "absolute", top: v.start, left: 0, right: 0, height: 42 }}>
                  <button
                    type="button"
                    className="metric-item"
                    title={`${m.name}\n${m.help}\n\nClick: show. Shift-click: add to what is shown.`}
                    onClick={(e) => (e.shiftKey ? onPick : onReplace)(m.name, m.type)}
                  >
                    <bdi className="cut">{m.name}</bdi>
                    <span className="row faint small">
                      <span className="cut grow">
                        {m.type} {m.unit && `· ${m.unit}`} {m.help && `· ${m.help}`}
                      </span>
                      {m.series !== undefined && (
                        <span className="badge" title={`${m.series} series`}>
                          {count(m.series)}
                        </span>
                      )}
                    </span>
                  </button>
                </li>
              )
            );
          })}
        </ul>
      </div>
    </aside>
  );
}
