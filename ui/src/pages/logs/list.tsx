/** Log records, as many as there are: only what is visible is in the page. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { LogLine } from "@/api/loki";
import { ansi, hasAnsi, split } from "@/lib/ansi";
import { useSettings } from "@/lib/settings";
import { formatTime } from "@/lib/time";
import { levelColor, LevelMark, Service } from "@/parts/show";
import { useShortcuts } from "@/shell/shortcuts";
import { RowDetail } from "./detail";

interface Props {
  lines: readonly LogLine[];
  /** Fields shown beside the line. */
  columns: readonly string[];
  needles?: readonly string[];
  /** Called when the end comes into view. */
  onEnd?: () => void;
  /** Keep the newest in view (live tail). */
  follow?: boolean;
  /** Whether the detail can show lines around. */
  context?: boolean;
}

/** The longest text that one row lays out; the whole line is in its detail. */
const maxInRow = 2000;

const rowHeight = 20;
const nothing: readonly string[] = [];

export function LogList({ lines, columns, needles = nothing, onEnd, follow = false, context = false }: Props) {
  const { wrap, zone } = useSettings();
  const scroll = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [focus, setFocus] = useState(-1);
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => rowHeight,
    getItemKey: (i) => lines[i]?.key ?? i,
    overscan: 15,
  });
  const items = virtual.getVirtualItems();
  const last = items[items.length - 1]?.index ?? 0;

  useEffect(() => {
    if (lines.length > 0 && last >= lines.length - 30) onEnd?.();
  }, [last, lines.length, onEnd]);
  useEffect(() => {
    if (follow && lines.length) virtual.scrollToIndex(lines.length - 1, { align: "end" });
  }, [follow, lines.length, virtual]);

  const toggle = useCallback((key: string) => {
    setOpen((before) => {
      const next = new Set(before);
      if (!next.delete(key)) next.add(key);
      return next;
    });
  }, []);
  const move = (by: number) => {
    const next = Math.min(lines.length - 1, Math.max(0, focus + by));
    setFocus(next);
    virtual.scrollToIndex(next);
  };
  useShortcuts([
    { keys: "j", what: "Next log record", run: () => move(1) },
    { keys: "k", what: "Previous log record", run: () => move(-1) },
    { keys: "Enter", what: "Open or close the record", run: () => lines[focus] && toggle(lines[focus].key) },
  ]);
  const label = useMemo(() => `${lines.length} log records`, [lines.length]);

  return (
    <div ref={scroll} className="loglist" role="list" aria-label={label} tabIndex={0}>
      <div style={{ height: virtual.getTotalSize(), position: "relative" }}>
        {items.map((v) => {
          const line = lines[v.index];
          if (!line) return null;
          return (
            <div
              key={v.key}
              ref={virtual.measureElement}
              data-index={v.index}
              className="logrow"
              role="listitem"
              data-wrap={wrap}
              data-focus={v.index === focus}
              style={{ transform: `translateY(${v.start}px)`, borderLeftColor: levelColor(line.level) }}
            >
              <Head
                line={line}
                columns={columns}
                needles={needles}
                open={open.has(line.key)}
                time={formatTime(line.ms, zone)}
                onToggle={toggle}
              />
              {open.has(line.key) && <RowDetail line={line} context={context} />}
            </div>
          );
        })}
      </div>
    </div>
  );
}

interface HeadProps {
  line: LogLine;
  columns: readonly string[];
  needles: readonly string[];
  open: boolean;
  time: string;
  onToggle: (key: string) => void;
}

const Head = memo(function Head({ line, columns, needles, open, time, onToggle }: HeadProps) {
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button inside does the same by keyboard
    <div
      className="head"
      onClick={() => window.getSelection()?.isCollapsed !== false && onToggle(line.key)}
      onKeyDown={() => {}}
      role="presentation"
    >
      <button
        type="button"
        className="fold"
        tabIndex={-1}
        aria-expanded={open}
        aria-label="Details"
        onClick={(e) => {
          e.stopPropagation();
          onToggle(line.key);
        }}
      >
        {open ? "▾" : "▸"}
      </button>
      <span className="time">{time}</span>
      <LevelMark level={line.level} />
      <span className="svc">
        <Service name={line.service} />
      </span>
      {columns.map((c) => (
        <span key={c} className="cell" title={c}>
          <bdi>{(line.fields[c] ?? line.labels[c] ?? "–").slice(0, 300)}</bdi>
        </span>
      ))}
      <LineText text={line.line} needles={needles} />
    </div>
  );
});

export function LineText({ text, needles }: { text: string; needles: readonly string[] }) {
  const shown = text.length > maxInRow ? `${text.slice(0, maxInRow)} …` : text;
  return (
    <bdi className="line">
      {(hasAnsi(shown) ? ansi(shown) : [{ text: shown }]).map((p, i) => (
        <span
          key={i}
          style={"color" in p || "bold" in p ? { color: p.color, fontWeight: p.bold ? 700 : undefined } : undefined}
        >
          {split(p.text, needles).map((s, j) => (s.hit ? <mark key={j}>{s.text}</mark> : s.text))}
        </span>
      ))}
    </bdi>
  );
}
