import { CoreApp, type QueryEditorProps } from "@grafana/data";
import { Alert, Button, Combobox, InlineSwitch, RadioButtonGroup, Stack } from "@grafana/ui";
import { useState } from "react";
import type { BraidDatasource } from "../datasource";
import { explainFederated, parseFederated, renderFederated } from "../lang/federated";
import type { Shown } from "../lang/lexer";
import { explainLogQL, isLines, parseLogQL, renderLogQL } from "../lang/logql";
import { explainPromQL, parsePromQL, renderPromQL } from "../lang/promql";
import { explainTraceQL, isSpanMetric, parseTraceQL, renderTraceQL } from "../lang/traceql";
import type { Resources } from "../resources";
import { type BraidOptions, type BraidQuery, type Format, type QueryType, queryTypes } from "../types";
import { CodeField } from "./CodeField";
import { FederatedBuilder } from "./FederatedBuilder";
import { LogBuilder } from "./LogBuilder";
import { PromBuilder } from "./PromBuilder";
import { Explanation, NotShownAlert, Pick, Row, Text } from "./parts";
import { TraceBuilder } from "./TraceBuilder";
import { useModel } from "./useModel";

type Props = QueryEditorProps<BraidDatasource, BraidQuery, BraidOptions>;

const modes = [
  { label: "Builder", value: "builder" as const },
  { label: "Code", value: "code" as const },
];
const withBuilder = new Set<QueryType>(["promql", "logql", "traceql", "federated"]);
const withCode = new Set<QueryType>([...withBuilder, "behind"]);

/** The editor of one query, in panels, Explore, alert rules and annotations. */
export function QueryEditor({ datasource, query, onChange, onRunQuery, app }: Props) {
  const type = query.queryType ?? "promql";
  const mode = withBuilder.has(type) ? (query.editorMode ?? (query.expr ? "code" : "builder")) : "code";
  const [explain, setExplain] = useState(false);
  const resources = datasource.resources;
  const set = (change: Partial<BraidQuery>, run = true) => {
    onChange({ ...query, ...change });
    if (run) {
      onRunQuery();
    }
  };
  const text = (expr: string) => set({ expr });
  return (
    <Stack direction="column" gap={0.5}>
      <Stack direction="row" gap={1} alignItems="center" wrap="wrap">
        <Combobox
          aria-label="Query type"
          options={queryTypes.map((t) => ({ ...t }))}
          value={type}
          onChange={(v) => set(changeType(query, v.value), false)}
          width={28}
        />
        {withBuilder.has(type) && (
          <RadioButtonGroup
            size="sm"
            aria-label="Editor"
            options={modes}
            value={mode}
            onChange={(editorMode: "builder" | "code") => set({ editorMode }, false)}
          />
        )}
        {withBuilder.has(type) && (
          <InlineSwitch
            label="Explain"
            showLabel
            transparent
            value={explain}
            onChange={(e) => setExplain(e.currentTarget.checked)}
          />
        )}
        <Button size="sm" variant="secondary" icon="play" onClick={onRunQuery}>
          Run query
        </Button>
      </Stack>
      {mode === "builder" ? (
        <Builder
          type={type}
          query={query}
          resources={resources}
          onText={text}
          onCode={() => set({ editorMode: "code" }, false)}
        />
      ) : withCode.has(type) ? (
        <CodeField
          type={type}
          value={query.expr ?? ""}
          lists={resources}
          onChange={text}
          onRun={onRunQuery}
          lines={type === "federated" ? 6 : 2}
        />
      ) : (
        <Simple type={type} query={query} resources={resources} set={set} />
      )}
      {explain && withBuilder.has(type) && <Explain type={type} text={query.expr ?? ""} />}
      <Options
        type={type}
        query={query}
        set={set}
        alerting={app === CoreApp.UnifiedAlerting || app === CoreApp.CloudAlerting}
      />
      {resources.lastError && (
        <Alert severity="warning" title="Braid does not answer with lists">
          {resources.lastError}
        </Alert>
      )}
    </Stack>
  );
}

// A text of one language is no query of another; it stays only where both know it.
function changeType(query: BraidQuery, queryType: QueryType): Partial<BraidQuery> {
  const kept = (query.queryType ?? "promql") === "promql" && queryType === "behind";
  return {
    queryType,
    expr: kept ? query.expr : "",
    editorMode: "builder",
    format: undefined,
    explain: undefined,
    live: undefined,
  };
}

function Builder({
  type,
  query,
  resources,
  onText,
  onCode,
}: {
  type: QueryType;
  query: BraidQuery;
  resources: Resources;
  onText: (text: string) => void;
  onCode: () => void;
}) {
  const shared = { text: query.expr ?? "", onText, onCode };
  switch (type) {
    case "logql":
      return (
        <Modelled
          key={type}
          {...shared}
          parse={parseLogQL}
          render={renderLogQL}
          body={(model, onChange) => <LogBuilder model={model} onChange={onChange} resources={resources} />}
        />
      );
    case "traceql":
      return (
        <Modelled
          key={type}
          {...shared}
          parse={parseTraceQL}
          render={renderTraceQL}
          body={(model, onChange) => <TraceBuilder model={model} onChange={onChange} resources={resources} />}
        />
      );
    case "federated":
      return (
        <Modelled
          key={type}
          {...shared}
          parse={parseFederated}
          render={renderFederated}
          body={(model, onChange) => <FederatedBuilder model={model} onChange={onChange} />}
        />
      );
    default:
      return (
        <Modelled
          key={type}
          {...shared}
          parse={parsePromQL}
          render={renderPromQL}
          body={(model, onChange) => <PromBuilder model={model} onChange={onChange} resources={resources} />}
        />
      );
  }
}

function Modelled<T>({
  text,
  parse,
  render,
  onText,
  onCode,
  body,
}: {
  text: string;
  parse: (text: string) => Shown<T>;
  render: (model: T) => string;
  onText: (text: string) => void;
  onCode: () => void;
  body: (model: T, onChange: (model: T) => void) => React.ReactNode;
}) {
  const { shown, change } = useModel(text, parse, render, onText);
  if (shown.model === undefined) {
    return <NotShownAlert reason={shown.reason ?? ""} onCode={onCode} />;
  }
  return (
    <>
      {body(shown.model, change)}
      {text && (
        <pre data-testid="braid-text" style={{ margin: 0, padding: "4px 8px", fontSize: 12, whiteSpace: "pre-wrap" }}>
          {text}
        </pre>
      )}
    </>
  );
}

function Explain({ type, text }: { type: QueryType; text: string }) {
  const steps = explained(type, text);
  return <Explanation steps={steps} />;
}

/** A query in words; what cannot be taken apart says so. */
export function explained(type: QueryType, text: string): string[] {
  const of = <T,>(shown: Shown<T>, explain: (m: T) => string[]) =>
    shown.model === undefined ? [`This query is not taken apart: ${shown.reason}.`] : explain(shown.model);
  switch (type) {
    case "logql":
      return of(parseLogQL(text), explainLogQL);
    case "traceql":
      return of(parseTraceQL(text), explainTraceQL);
    case "federated":
      return of(parseFederated(text), explainFederated);
    default:
      return of(parsePromQL(text), explainPromQL);
  }
}

/** The types that have one field or two, and no language of their own. */
function Simple({
  type,
  query,
  resources,
  set,
}: {
  type: QueryType;
  query: BraidQuery;
  resources: Resources;
  set: (change: Partial<BraidQuery>) => void;
}) {
  switch (type) {
    case "request":
      return (
        <Row label="Id" hint="A trace id in any spelling, a request id, a user, a session">
          <Text
            label="Id"
            value={query.expr ?? ""}
            onChange={(expr) => set({ expr: expr.trim() })}
            width={60}
            placeholder="a trace id, an x-request-id, a user, a session"
          />
        </Row>
      );
    case "outliers": {
      const logs = query.signal === "logs";
      return (
        <Stack direction="column" gap={0.5}>
          <Row label="Compare">
            <Pick
              label="Signal"
              value={query.signal ?? "traces"}
              list={["traces", "logs"]}
              onChange={(v) => set({ signal: v as "traces" | "logs", expr: "", baseline: "" })}
            />
          </Row>
          <Row label="Selection">
            <CodeField
              type={logs ? "logql" : "traceql"}
              value={query.expr ?? ""}
              lists={resources}
              onChange={(expr) => set({ expr })}
              onRun={() => set({})}
              lines={1}
            />
          </Row>
          <Row label="With" hint="Empty: everything else in the time range">
            <CodeField
              type={logs ? "logql" : "traceql"}
              value={query.baseline ?? ""}
              lists={resources}
              onChange={(baseline) => set({ baseline })}
              onRun={() => set({})}
              lines={1}
            />
          </Row>
        </Stack>
      );
    }
    case "alerts":
      return (
        <Row label="Alerts" hint="Label matchers, as in PromQL; empty: all">
          <Text
            label="Matchers"
            value={query.expr ?? ""}
            onChange={(expr) => set({ expr })}
            width={60}
            placeholder={'severity="page", service_name="checkout"'}
          />
        </Row>
      );
    case "deploys":
      return (
        <Row label="Service" hint="Empty: all services">
          <Text
            label="Service"
            value={query.expr ?? ""}
            onChange={(expr) => set({ expr: expr.trim() })}
            width={40}
            placeholder="all services"
          />
        </Row>
      );
    default:
      return null;
  }
}

const formats: Record<Format, string> = {
  time_series: "a frame for each series",
  wide: "one frame, a column for each series",
  table: "rows with the labels as columns",
  heatmap: "buckets of a histogram",
};

function Options({
  type,
  query,
  set,
  alerting,
}: {
  type: QueryType;
  query: BraidQuery;
  set: (change: Partial<BraidQuery>) => void;
  alerting: boolean;
}) {
  const series =
    type === "promql" ||
    (type === "logql" && !!query.expr && !isLines(query.expr)) ||
    (type === "traceql" && isSpanMetric(query.expr ?? ""));
  const limited =
    ["federated", "behind", "outliers"].includes(type) || (!series && (type === "logql" || type === "traceql"));
  if (!series && !limited) {
    return null;
  }
  return (
    <Row label="Options">
      {series && (
        <>
          <Text
            label="Legend"
            value={query.legendFormat ?? ""}
            onChange={(legendFormat) => set({ legendFormat })}
            width={24}
            placeholder="{{label}} or as written"
          />
          <Pick
            label="Format"
            value={query.format ?? "time_series"}
            list={formats}
            onChange={(format) => set({ format: format as Format })}
            width={18}
          />
        </>
      )}
      {series && type !== "traceql" && (
        <InlineSwitch
          label="Instant"
          showLabel
          value={query.instant ?? false}
          onChange={(e) => set({ instant: e.currentTarget.checked })}
        />
      )}
      {type === "promql" && !alerting && (
        <InlineSwitch
          label="Exemplars"
          showLabel
          value={query.exemplar ?? true}
          onChange={(e) => set({ exemplar: e.currentTarget.checked })}
        />
      )}
      {limited && (
        <Text
          label="Limit"
          value={query.limit ? String(query.limit) : ""}
          onChange={(v) => set({ limit: limit(v) })}
          width={12}
          placeholder="Limit: 500"
        />
      )}
      {type === "logql" && !series && !alerting && (
        <InlineSwitch
          label="Live"
          showLabel
          value={query.live ?? false}
          onChange={(e) => set({ live: e.currentTarget.checked })}
        />
      )}
      {type === "federated" && (
        <InlineSwitch
          label="Plan only"
          showLabel
          value={query.explain ?? false}
          onChange={(e) => set({ explain: e.currentTarget.checked })}
        />
      )}
    </Row>
  );
}

function limit(text: string): number | undefined {
  const n = Number.parseInt(text, 10);
  return n > 0 ? Math.min(n, 5000) : undefined;
}
