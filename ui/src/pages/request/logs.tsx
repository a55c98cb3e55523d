/** The log records of a request in order of time, of every service. */
import { useMemo } from "react";
import type { Log } from "@/api/generated";
import { type LogLine, levelOf } from "@/api/loki";
import { nsToMs } from "@/lib/time";
import { Empty } from "@/parts/feedback";
import { LogList } from "@/pages/logs/list";

const object = (list: Log["attributes"]) => Object.fromEntries((list ?? []).map((a) => [a.key ?? "", a.value ?? ""]));

export function toLine(l: Log, i: number): LogLine {
  return {
    key: String(i),
    ns: l.timeNs ?? "0",
    ms: nsToMs(l.timeNs),
    line: l.body ?? "",
    level: levelOf(l.level || l.severityText),
    service: l.service ?? "",
    labels: object(l.resource),
    fields: object(l.attributes),
    traceId: l.traceId ?? "",
    spanId: l.spanId ?? "",
  };
}

export function RequestLogs({ logs }: { logs: readonly Log[] }) {
  const lines = useMemo(() => logs.map(toLine).sort((a, b) => a.ms - b.ms), [logs]);
  if (lines.length === 0)
    return (
      <Empty title="No log record carries this id">
        Send the trace id with every record: OpenTelemetry's log appenders do so by themselves when a span is active.
      </Empty>
    );
  return (
    <div className="panel" style={{ flex: 1, minHeight: 0, display: "flex", flexDirection: "column", marginTop: 8 }}>
      <LogList lines={lines} columns={[]} />
    </div>
  );
}
