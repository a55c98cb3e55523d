/** The box on every page: any id, URL, log line, stack trace, service, metric or query. */
import { useQuery } from "@tanstack/react-query";
import { Bug, FileSearch, Gauge, Link, Network, Search, ScrollText, Waypoints } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useMemo, useRef, useState } from "react";
import { labelValues } from "@/api/prom";
import { tagValues } from "@/api/tempo";
import { type Intent, intents } from "@/lib/ids";
import { clip, shortId } from "@/lib/format";
import { aroundRange } from "@/lib/time";
import { readStored, writeStored } from "@/lib/settings";
import { textQuery } from "@/parts/value";
import { useRange } from "./range";
import { useShortcuts } from "./shortcuts";
import { href, requestHref, useGo } from "./url";

const historyKey = "braid.searches";

export function useServiceNames(): string[] {
  const { range } = useRange();
  const q = useQuery({
    queryKey: ["service-names"],
    queryFn: ({ signal }) => tagValues("resource.service.name", range, undefined, signal),
    staleTime: 60_000,
    retry: false,
  });
  return useMemo(() => (q.data ?? []).map((v) => v.value), [q.data]);
}

function useMetricNames(on: boolean): string[] {
  const q = useQuery({
    queryKey: ["metric-names"],
    queryFn: ({ signal }) => labelValues("__name__", undefined, undefined, signal),
    staleTime: 60_000,
    enabled: on,
    retry: false,
  });
  return q.data ?? [];
}

export function SearchBox() {
  const [text, setText] = useState("");
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const services = useServiceNames();
  const metrics = useMetricNames(open);
  const go = useGo();
  const { carry } = useRange();
  useShortcuts([
    { keys: "/", what: "Search: any id, URL, log line, service, metric or query", run: () => input.current?.select() },
  ]);

  const recent = useMemo(() => (open && !text ? readStored<string[]>(historyKey, []) : []), [open, text]);
  const list = useMemo(() => intents(text, services, metrics), [text, services, metrics]);

  const rowCount = list.length + recent.length;
  const follow = (i: Intent) => {
    writeStored(
      historyKey,
      [text.slice(0, 500), ...readStored<string[]>(historyKey, []).filter((s) => s !== text)].slice(0, 12),
    );
    setOpen(false);
    setText("");
    input.current?.blur();
    go(target(i, carry));
  };
  const onKey = (e: KeyboardEvent) => {
    const step = e.key === "ArrowDown" ? 1 : e.key === "ArrowUp" ? -1 : 0;
    if (step) {
      e.preventDefault();
      setAt((n) => (n + step + Math.max(1, rowCount)) % Math.max(1, rowCount));
    } else if (e.key === "Enter") {
      const i = list[Math.min(at, list.length - 1)];
      const again = recent[at - list.length];
      if (i) follow(i);
      else if (again) setText(again);
    } else if (e.key === "Escape") {
      setOpen(false);
      input.current?.blur();
    }
  };
  const shown = open && (list.length > 0 || recent.length > 0);
  return (
    <search className="search" onBlur={(e) => !e.currentTarget.contains(e.relatedTarget) && setOpen(false)}>
      <Search size={16} aria-hidden />
      <input
        ref={input}
        value={text}
        placeholder="Search any id, URL, log line, stack trace, service, metric or query"
        aria-label="Search everything"
        role="combobox"
        aria-expanded={shown}
        aria-controls="search-list"
        aria-activedescendant={shown ? `search-${at}` : undefined}
        autoComplete="off"
        spellCheck={false}
        onFocus={() => setOpen(true)}
        onChange={(e) => {
          setText(e.target.value);
          setAt(0);
          setOpen(true);
        }}
        onPaste={(e) => {
          // A field of one line drops line breaks: a stack trace needs them.
          const pasted = e.clipboardData.getData("text");
          if (!pasted.includes("\n")) return;
          e.preventDefault();
          setText(pasted.slice(0, 100_000).replace(/\s*\n\s*/g, " ⏎ "));
          setOpen(true);
        }}
        onKeyDown={onKey}
      />
      {!open && <kbd aria-hidden>/</kbd>}
      {shown && (
        <div className="suggest" role="listbox" id="search-list" aria-label="Suggestions" tabIndex={-1}>
          <ul role="presentation">
            {list.map((i, n) => (
              <Suggestion
                key={JSON.stringify(i)}
                id={`search-${n}`}
                intent={i}
                selected={n === at}
                onHover={() => setAt(n)}
                onPick={() => follow(i)}
              />
            ))}
            {recent.map((r, n) => (
              <li
                key={r}
                id={`search-${list.length + n}`}
                role="option"
                aria-selected={list.length + n === at}
                onMouseEnter={() => setAt(list.length + n)}
                onMouseDown={(e) => e.preventDefault()}
                onClick={() => setText(r)}
                onKeyDown={() => {}}
              >
                <Search size={14} /> <bdi className="cut">{clip(r, 120)}</bdi>{" "}
                <span className="what">searched before</span>
              </li>
            ))}
          </ul>
        </div>
      )}
    </search>
  );
}

function target(i: Intent, carry: Record<string, string | undefined>): string {
  switch (i.kind) {
    case "id":
      return requestHref(i.id);
    case "service":
      return href(`/service/${encodeURIComponent(i.name)}`, carry);
    case "promql":
      return href("/explore/metrics", { ...carry, q: i.query });
    case "metric":
      return href("/explore/metrics", { ...carry, metric: i.name });
    case "logql":
      return href("/explore/logs", { ...carry, q: i.query });
    case "traceql":
      return href("/explore/traces", { ...carry, q: i.query });
    case "url":
      return href("/explore/traces", { ...carry, q: urlQuery(i.path) });
    case "exception":
      return href("/explore/traces", { ...carry, q: `{ event.exception.type = ${JSON.stringify(i.type)} }` });
    case "text":
      return href("/explore/logs", {
        // A line that says when it was written is looked for around that time.
        ...(i.atMs === undefined ? carry : aroundRange(i.atMs, i.atMs)),
        q: textQuery(i.text),
      });
  }
}

/** The requests to a path, however the instrumentation wrote it down. */
const urlQuery = (path: string) => {
  const p = JSON.stringify(path);
  return `{ span.url.path = ${p} || span.http.route = ${p} || span.http.target = ${p} }`;
};

function describe(i: Intent): { icon: ReactNode; text: string; what: string } {
  switch (i.kind) {
    case "id":
      return { icon: <Waypoints size={14} />, text: shortId(i.id, 28), what: `request · ${i.what}` };
    case "service":
      return { icon: <Network size={14} />, text: i.name, what: "service" };
    case "promql":
      return { icon: <Gauge size={14} />, text: i.query, what: "run as PromQL" };
    case "metric":
      return { icon: <Gauge size={14} />, text: i.name, what: "metric" };
    case "logql":
      return { icon: <ScrollText size={14} />, text: i.query, what: "run as LogQL" };
    case "traceql":
      return { icon: <Waypoints size={14} />, text: i.query, what: "run as TraceQL" };
    case "url":
      return { icon: <Link size={14} />, text: i.path, what: "requests to this path" };
    case "exception":
      return { icon: <Bug size={14} />, text: i.type, what: "requests with this exception" };
    case "text":
      return {
        icon: <FileSearch size={14} />,
        text: i.text,
        what: i.atMs === undefined ? "find in all logs" : "find in all logs around its time",
      };
  }
}

function Suggestion({
  id,
  intent,
  selected,
  onHover,
  onPick,
}: {
  id: string;
  intent: Intent;
  selected: boolean;
  onHover: () => void;
  onPick: () => void;
}) {
  const d = describe(intent);
  return (
    // The keyboard reaches options through the field's arrow keys.
    <li
      id={id}
      role="option"
      aria-selected={selected}
      onMouseEnter={onHover}
      onMouseDown={(e) => e.preventDefault()}
      onClick={onPick}
      onKeyDown={() => {}}
    >
      {d.icon} <bdi className="cut">{clip(d.text, 140)}</bdi> <span className="what">{d.what}</span>
    </li>
  );
}
