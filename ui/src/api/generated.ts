// Written by scripts/gen-types.mjs from proto/braid/v1/braid.swagger.json. Do not edit.
// 64-bit integers are strings in JSON. A field that has its zero value may be absent.

export interface Alert {
  fingerprint?: string;
  labels?: Record<string, string>;
  state?: string;
  startsNs?: string;
}

/**
 * Attribute is one attribute. Values are text, with the type told apart, so
 * that 64-bit integers survive JSON.
 */
export interface Attribute {
  key?: string;
  value?: string;
  /** string, bool, int, double, bytes (base64), array or map (JSON text). */
  type?: string;
}

export interface BehindRequest {
  request?: RequestSummary;
  /**
   * The exemplar's value, the duration in seconds, or how many log records
   * match.
   */
  value?: number;
  /** Why it is here: exemplar, slow, failed, match. */
  reason?: string;
  series?: Record<string, string>;
}

export interface Column {
  name?: string;
  /** string, int, double, time, duration, id. */
  type?: string;
}

export interface CompareTracesResponse {
  a?: TraceOutline;
  b?: TraceOutline;
  paths?: PathDiff[];
  totalPaths?: number;
  complete?: boolean;
  warnings?: string[];
}

/** CorrelatePart is one line of CorrelateStream. Spans lack critical, self_ns, flags and depth. */
export interface CorrelatePart {
  span?: Span;
  log?: Log;
  exemplar?: Exemplar;
  /** Last: the rest. Its spans are those sent, in that order, with what they lacked; its timeline counts what was sent. */
  summary?: CorrelateResponse;
}

export interface CorrelateResponse {
  id?: string;
  /** What the id was found to be. */
  kinds?: Id[];
  /** Other ids of the same request, found because one record carries both. */
  aliases?: Id[];
  range?: TimeRange;
  /** In order of first involvement. */
  services?: ServicePart[];
  spans?: Span[];
  logs?: Log[];
  exemplars?: Exemplar[];
  alerts?: Alert[];
  /** What is missing, and why. */
  gaps?: Gap[];
  /** Filled when the id stands for many requests. */
  requests?: RequestSummary[];
  /** Spans and logs merged in causal order. */
  timeline?: TimelineEntry[];
  /** False when a part of the system did not answer or a limit was reached. */
  complete?: boolean;
  warnings?: string[];
  cost?: Cost;
  /** Ids like the one asked for, when nothing was found. */
  near?: Id[];
}

/** Cost says what an answer took. */
export interface Cost {
  bytes?: string;
  rows?: string;
  blocks?: string;
  blocksSkipped?: string;
  seconds?: number;
}

export interface Exemplar {
  series?: Record<string, string>;
  value?: number;
  timeNs?: string;
  traceId?: string;
  spanId?: string;
  attributes?: Attribute[];
}

export interface Facet {
  field?: string;
  values?: FacetValue[];
}

export interface FacetValue {
  value?: string;
  count?: string;
}

/** Gap says aloud what is missing. */
export interface Gap {
  /** missing_spans, missing_parent, sampled_out, expired, part_down, not_asked, limit. */
  kind?: string;
  message?: string;
  service?: string;
  spanId?: string;
}

/** Id is a correlation id: canonical spelling. */
export interface Id {
  /** trace, request, session, user, or a configured kind. */
  kind?: string;
  id?: string;
}

export interface Log {
  timeNs?: string;
  service?: string;
  severity?: number;
  severityText?: string;
  level?: string;
  body?: string;
  traceId?: string;
  spanId?: string;
  attributes?: Attribute[];
  resource?: Attribute[];
  eventName?: string;
}

export interface LogTrace {
  request?: RequestSummary;
  /** The id that leads there. */
  via?: Id;
  /** False when no span of the trace was received. */
  known?: boolean;
}

export interface LogTracesRequest {
  /**
   * The record as Braid shows it. trace_id, attributes, resource and body are
   * looked at, in this order.
   */
  log?: Log;
}

export interface LogTracesResponse {
  /** The likeliest first. */
  traces?: LogTrace[];
  complete?: boolean;
  warnings?: string[];
}

export interface MetricAt {
  name?: string;
  labels?: Record<string, string>;
  type?: string;
  unit?: string;
  help?: string;
  /** The last sample up to the end of the trace, or else the first after it. */
  timeNs?: string;
  value?: number;
  /** The increase a second over the window, of a counter. */
  rate?: number;
}

export interface Outlier {
  field?: string;
  value?: string;
  selectionCount?: string;
  baselineCount?: string;
  selectionShare?: number;
  baselineShare?: number;
  /**
   * Standard errors of the difference of the two shares (z statistic): its sign
   * tells over- from under-represented.
   */
  score?: number;
  /** Half width of the 95 % interval of the difference of the shares. */
  error?: number;
}

export interface OutliersRequest {
  /**
   * The selection and the rest, each a TraceQL span filter or a LogQL selector.
   *
   * traces or logs
   */
  signal?: string;
  selection?: string;
  /** empty: everything in the range */
  baseline?: string;
  startNs?: string;
  endNs?: string;
  /** A region of a latency heatmap, in ns; 0 means open. */
  minDurationNs?: string;
  maxDurationNs?: string;
  selectionStartNs?: string;
  selectionEndNs?: string;
  limit?: number;
}

export interface OutliersResponse {
  outliers?: Outlier[];
  selectionRows?: string;
  baselineRows?: string;
  /**
   * True when rows were sampled; error is then the greatest half width of the
   * 95 % interval of a share among the outliers.
   */
  sampled?: boolean;
  error?: number;
  warnings?: string[];
  /**
   * All rows of the two sides, counted; selection_rows and baseline_rows are
   * those that were read.
   */
  selectionTotal?: string;
  baselineTotal?: string;
}

/**
 * PathDiff is one chain of service and operation from the root, in two traces.
 * Siblings with the same path count together.
 */
export interface PathDiff {
  path?: PathStep[];
  a?: PathStats;
  b?: PathStats;
}

/**
 * PathSegment is a stretch of time in which a trace waited for one span's own
 * work.
 */
export interface PathSegment {
  spanId?: string;
  service?: string;
  name?: string;
  startNs?: string;
  durationNs?: string;
}

export interface PathStats {
  spans?: number;
  errors?: number;
  durationNs?: string;
  selfNs?: string;
}

export interface PathStep {
  service?: string;
  operation?: string;
  kind?: string;
}

export interface QueriesResponse {
  queries?: QueryLogEntry[];
}

export interface QueryLogEntry {
  id?: string;
  language?: string;
  text?: string;
  startedNs?: string;
  seconds?: number;
  running?: boolean;
  error?: string;
  cost?: Cost;
}

export interface QueryRequest {
  /** The text form: see docs/federation.md. */
  text?: string;
  startNs?: string;
  endNs?: string;
  limit?: number;
  /** Return the plan instead of running it. */
  explain?: boolean;
}

export interface QueryResponse {
  columns?: Column[];
  rows?: Row[];
  plan?: string;
  complete?: boolean;
  warnings?: string[];
  cost?: Cost;
}

export interface RequestSummary {
  traceId?: string;
  requestId?: string;
  startNs?: string;
  durationNs?: string;
  service?: string;
  route?: string;
  status?: string;
  error?: boolean;
  spans?: number;
  errors?: number;
  /** Of a request of which no spans are known. */
  logs?: number;
}

export interface RequestsBehindRequest {
  /** A PromQL selector or expression: its series' labels select the requests. */
  promql?: string;
  /** Or a TraceQL span filter, or a LogQL selector. */
  traceql?: string;
  logql?: string;
  startNs?: string;
  endNs?: string;
  limit?: number;
  /**
   * One point instead of a range: what the expression looks at for a value
   * there (the range of its selectors, or five minutes) is asked.
   */
  atNs?: string;
  /** Labels of one series of the result, to tell it from the others. */
  series?: Record<string, string>;
}

export interface RequestsBehindResponse {
  requests?: BehindRequest[];
  /** exemplars, spans or logs: where they come from. */
  source?: string;
  complete?: boolean;
  warnings?: string[];
  /** What was looked at. */
  range?: TimeRange;
}

export interface RequestsResponse {
  requests?: RequestSummary[];
  total?: number;
  complete?: boolean;
  warnings?: string[];
  /**
   * Values of service, route, status and error with their counts, among the
   * requests that the conditions on the other columns leave.
   */
  facets?: Facet[];
}

export interface Row {
  values?: string[];
}

export interface ServiceEdge {
  client?: string;
  server?: string;
  calls?: string;
  errors?: string;
  p50Ms?: number;
  p95Ms?: number;
}

export interface ServiceMetrics {
  service?: string;
  /** How many series the service has in the window. */
  total?: number;
  series?: MetricAt[];
}

export interface ServiceNode {
  name?: string;
  /** service, database, messaging or external. */
  type?: string;
  spans?: string;
  requests?: string;
  errors?: string;
  rate?: number;
  errorShare?: number;
  p50Ms?: number;
  p95Ms?: number;
  p99Ms?: number;
  versions?: string[];
}

export interface ServicePart {
  name?: string;
  firstNs?: string;
  spans?: number;
  logs?: number;
  errors?: number;
}

/** ServiceTime is where the time of a trace went, by service. */
export interface ServiceTime {
  service?: string;
  spans?: number;
  errors?: number;
  /** Time of its spans not covered by their children. */
  selfNs?: string;
  /** Its part of the critical path. */
  criticalNs?: string;
}

export interface ServicesResponse {
  nodes?: ServiceNode[];
  edges?: ServiceEdge[];
  warnings?: string[];
}

export interface Span {
  traceId?: string;
  spanId?: string;
  parentId?: string;
  name?: string;
  service?: string;
  kind?: string;
  status?: string;
  statusMessage?: string;
  startNs?: string;
  durationNs?: string;
  attributes?: Attribute[];
  resource?: Attribute[];
  scope?: string;
  events?: SpanEvent[];
  links?: SpanLink[];
  /** On the critical path of its trace. */
  critical?: boolean;
  /** Time not covered by its children. */
  selfNs?: string;
  /** Clock skew, missing parent, cycle …: what is odd about the span. */
  flags?: string[];
  /** Depth in the tree, 0 for roots and orphans. */
  depth?: number;
}

export interface SpanEvent {
  timeNs?: string;
  name?: string;
  attributes?: Attribute[];
}

export interface SpanLink {
  traceId?: string;
  spanId?: string;
  attributes?: Attribute[];
}

export interface SpanLogsResponse {
  /** Oldest first. */
  logs?: Log[];
  /**
   * span when the records name the span; time when none does, and they are those
   * of its trace, its service and its time.
   */
  by?: string;
  complete?: boolean;
  warnings?: string[];
}

/** TimeRange in Unix nanoseconds, [start, end). */
export interface TimeRange {
  start?: string;
  end?: string;
}

/**
 * TimelineEntry points at a span, a log, an exemplar or an alert by its index in
 * the response.
 */
export interface TimelineEntry {
  timeNs?: string;
  /** span, log, exemplar or alert. */
  what?: string;
  index?: number;
  depth?: number;
  /** The time was moved to keep causes before effects. */
  skewed?: boolean;
}

export interface TraceMetricsResponse {
  /** The window that was looked at: the trace's time and five minutes around it. */
  range?: TimeRange;
  services?: ServiceMetrics[];
  complete?: boolean;
  warnings?: string[];
}

export interface TraceOutline {
  traceId?: string;
  rootService?: string;
  rootName?: string;
  startNs?: string;
  durationNs?: string;
  spans?: number;
  errors?: number;
}

export interface TraceResponse {
  traceId?: string;
  rootService?: string;
  rootName?: string;
  startNs?: string;
  durationNs?: string;
  totalSpans?: number;
  errors?: number;
  /** Parents before their children, siblings by start: from offset on. */
  spans?: Span[];
  /** The offset of the next page; 0 on the last one. */
  nextOffset?: number;
  /**
   * Covers the root's duration without gap or overlap: only here is there time
   * to win.
   */
  criticalPath?: PathSegment[];
  /** By critical time, most first. */
  services?: ServiceTime[];
  complete?: boolean;
  warnings?: string[];
}
