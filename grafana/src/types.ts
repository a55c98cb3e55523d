import type { DataQuery, DataSourceJsonData } from "@grafana/data";

/** What a query asks, and in which language; the backend knows the same words. */
export type QueryType =
  | "promql"
  | "logql"
  | "traceql"
  | "federated"
  | "request"
  | "behind"
  | "services"
  | "outliers"
  | "alerts"
  | "deploys";

/** How series come back: one frame each, one frame with a column each, a table, or buckets for a heatmap. */
export type Format = "time_series" | "wide" | "table" | "heatmap";

export interface BraidQuery extends DataQuery {
  queryType?: QueryType;
  /** The text of the query; of a request its id. */
  expr: string;
  editorMode?: "builder" | "code";
  /** Ask for the end of the range only. */
  instant?: boolean;
  exemplar?: boolean;
  legendFormat?: string;
  format?: Format;
  /** Most lines, traces or rows; 0 or nothing means the backend's default. */
  limit?: number;
  /** Answer the plan of a federated query instead of running it. */
  explain?: boolean;
  /** What `outliers` compares: traces or logs. */
  signal?: "traces" | "logs";
  /** What `outliers` compares with; empty means everything in the range. */
  baseline?: string;
  /** Which lines come first when there are more than the limit; backward is the default. */
  direction?: "forward" | "backward";
  /** Follow log lines as they come, through Grafana Live. */
  live?: boolean;
}

/** How the data source authenticates with Braid. */
export type Auth = "none" | "basic" | "bearer" | "oauth";

export interface BraidOptions extends DataSourceJsonData {
  /** Sent as X-Scope-OrgID. */
  tenant?: string;
  /** Seconds that a request may take. */
  timeout?: number;
  oauthPassThru?: boolean;
  tlsSkipVerify?: boolean;
  tlsAuth?: boolean;
  tlsAuthWithCACert?: boolean;
  serverName?: string;
}

/** Secrets: written once, never read back by a browser. */
export interface BraidSecrets {
  basicAuthPassword?: string;
  bearerToken?: string;
  tlsCACert?: string;
  tlsClientCert?: string;
  tlsClientKey?: string;
}

/** What a variable lists. */
export interface VariableQuery extends DataQuery {
  kind:
    | "services"
    | "metrics"
    | "labels"
    | "label_values"
    | "log_labels"
    | "log_label_values"
    | "tags"
    | "tag_values"
    | "query";
  /** Label or attribute whose values are listed. */
  label?: string;
  /** Selector that narrows the list, or the PromQL of `query`. */
  expr?: string;
}

export const defaultQuery: Partial<BraidQuery> = { queryType: "promql", expr: "", editorMode: "builder" };

/** The words for a query type, in the order of the editor's list. */
export const queryTypes: ReadonlyArray<{ value: QueryType; label: string; description: string }> = [
  { value: "promql", label: "Metrics", description: "PromQL; the other languages within it too" },
  { value: "logql", label: "Logs", description: "LogQL: lines, or series of them" },
  { value: "traceql", label: "Traces", description: "TraceQL: traces, or series of spans" },
  { value: "request", label: "Request", description: "Any id: the whole request, with no time range" },
  { value: "federated", label: "Across signals", description: "Traces, logs and exemplars joined on an id" },
  { value: "behind", label: "Requests behind", description: "The requests behind a PromQL expression" },
  { value: "outliers", label: "What is different", description: "Attributes that set a selection apart" },
  { value: "services", label: "Service map", description: "Who calls whom, with rate, errors and duration" },
  { value: "alerts", label: "Alerts", description: "When alerts fired" },
  { value: "deploys", label: "Deploys", description: "When a new version was first seen" },
];
