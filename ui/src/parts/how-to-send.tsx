/** What to do when nothing has arrived: the exact lines to paste. */
import { Copy } from "lucide-react";
import { useState } from "react";
import { Empty } from "./feedback";
import { copy } from "./toast";

export type Signal = "logs" | "traces" | "metrics";

const host = () => window.location.hostname || "127.0.0.1";

function samplePayload(signal: Signal): string {
  const resource = `"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my-service"}}]}`;
  if (signal === "logs")
    return `{"resourceLogs":[{${resource},"scopeLogs":[{"logRecords":[{"timeUnixNano":"'$(date +%s)000000000'","severityText":"INFO","severityNumber":9,"body":{"stringValue":"hello from curl"}}]}]}]}`;
  if (signal === "traces")
    return `{"resourceSpans":[{${resource},"scopeSpans":[{"spans":[{"traceId":"'$(od -An -tx1 -N16 /dev/urandom | tr -d " \\n")'","spanId":"'$(od -An -tx1 -N8 /dev/urandom | tr -d " \\n")'","name":"hello","kind":2,"startTimeUnixNano":"'$(date +%s)000000000'","endTimeUnixNano":"'$(date +%s)250000000'"}]}]}]}`;
  return `{"resourceMetrics":[{${resource},"scopeMetrics":[{"metrics":[{"name":"hello","gauge":{"dataPoints":[{"timeUnixNano":"'$(date +%s)000000000'","asDouble":42}]}}]}]}]}`;
}

const snippets: Record<string, (signal: Signal) => string> = {
  "Any SDK (environment)": () =>
    `export OTEL_SERVICE_NAME=my-service
export OTEL_EXPORTER_OTLP_ENDPOINT=http://${host()}:4318
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_METRICS_EXEMPLAR_FILTER=trace_based`,
  curl: (s) =>
    `curl -sS http://${host()}:4318/v1/${s} -H 'Content-Type: application/json' \\\n  -d '${samplePayload(s)}'`,
  Collector: (s) =>
    `exporters:
  otlphttp/braid:
    endpoint: http://${host()}:4318
service:
  pipelines:
    ${s}:
      receivers: [otlp]
      exporters: [otlphttp/braid]`,
  "Demo data": () => `braid generate --endpoint http://${host()}:4318`,
};

export function HowToSend({ signal }: { signal: Signal }) {
  const [kind, setKind] = useState(Object.keys(snippets)[0]!);
  const text = snippets[kind]!(signal);
  return (
    <Empty title={`No ${signal} have arrived in this range`}>
      <p>
        Braid receives OpenTelemetry over gRPC on port 4317 and over HTTP on port 4318. Paste one of these where your
        service runs:
      </p>
      <fieldset className="group" style={{ marginTop: 12 }}>
        <legend className="offscreen">How to send</legend>
        {Object.keys(snippets).map((k) => (
          <button key={k} type="button" className="btn small" aria-pressed={k === kind} onClick={() => setKind(k)}>
            {k}
          </button>
        ))}
      </fieldset>
      <pre>{text}</pre>
      <p style={{ marginTop: 8 }}>
        <button type="button" className="btn small" onClick={() => void copy(text)}>
          <Copy size={13} /> Copy
        </button>
      </p>
    </Empty>
  );
}
