import {
  type AdHocVariableFilter,
  CoreApp,
  type DataQueryRequest,
  type DataQueryResponse,
  type DataSourceGetTagKeysOptions,
  type DataSourceGetTagValuesOptions,
  type DataSourceInstanceSettings,
  type DataSourceWithLogsContextSupport,
  type DataSourceWithSupplementaryQueriesSupport,
  type DataSourceWithToggleableQueryFiltersSupport,
  dateTime,
  LoadingState,
  type LogRowContextOptions,
  type LogRowModel,
  type MetricFindValue,
  type QueryFilterOptions,
  type QueryFixAction,
  type ScopedVars,
  type SupplementaryQueryOptions,
  SupplementaryQueryType,
  type TimeRange,
  type ToggleFilterAction,
} from "@grafana/data";
import { DataSourceWithBackend, getTemplateSrv, type TemplateSrv } from "@grafana/runtime";
import { from, lastValueFrom, merge, type Observable, switchMap } from "rxjs";
import { annotationSupport } from "./annotations";
import { addMatcher, formatVariable, named, toggle, withFilters } from "./filters";
import { quote } from "./lang/lexer";
import { isLines, linesOf, volumeOf } from "./lang/logql";
import { hasMatcher } from "./lang/matchers";
import { tail } from "./live";
import { Resources } from "./resources";
import { type BraidOptions, type BraidQuery, defaultQuery } from "./types";
import { VariableSupport } from "./variables";

/** Query types that say something with no text. */
const needNoText = new Set(["services", "alerts", "deploys"]);
const contextHours = 2;

export class BraidDatasource
  extends DataSourceWithBackend<BraidQuery, BraidOptions>
  implements
    DataSourceWithLogsContextSupport<BraidQuery>,
    DataSourceWithSupplementaryQueriesSupport<BraidQuery>,
    DataSourceWithToggleableQueryFiltersSupport<BraidQuery>
{
  readonly resources: Resources;
  /** Attribute names of spans, once they were asked for: ad-hoc filters need them. */
  private tags: readonly string[] = [];

  constructor(
    settings: DataSourceInstanceSettings<BraidOptions>,
    private readonly templates: TemplateSrv = getTemplateSrv(),
  ) {
    super(settings);
    this.resources = new Resources((path, params) => this.getResource(path, params, { showErrorAlert: false }));
    this.variables = new VariableSupport(this);
    this.annotations = annotationSupport;
  }

  getDefaultQuery(app: CoreApp): Partial<BraidQuery> {
    return app === CoreApp.UnifiedAlerting || app === CoreApp.CloudAlerting
      ? { ...defaultQuery, instant: true }
      : defaultQuery;
  }

  filterQuery(query: BraidQuery): boolean {
    return !query.hide && (needNoText.has(query.queryType ?? "") || (query.expr ?? "").trim() !== "");
  }

  query(request: DataQueryRequest<BraidQuery>): Observable<DataQueryResponse> {
    const targets = request.targets.filter((q) => this.filterQuery(q));
    const live = targets.filter((q) => q.queryType === "logql" && isLines(q.expr) && (request.liveStreaming || q.live));
    const rest = targets.filter((q) => !live.includes(q));
    const asked = { ...request, targets: rest };
    const answers: Array<Observable<DataQueryResponse>> = [];
    if (rest.length > 0 || live.length === 0) {
      answers.push(
        this.needsTags(asked) ? from(this.loadTags()).pipe(switchMap(() => super.query(asked))) : super.query(asked),
      );
    }
    if (live.length > 0) {
      const filled = live.map((q) => this.applyTemplateVariables(q, request.scopedVars, request.filters));
      answers.push(tail(this.uid, { ...request, targets: filled }));
    }
    return answers.length === 1 ? (answers[0] as Observable<DataQueryResponse>) : merge(...answers);
  }

  private needsTags(request: DataQueryRequest<BraidQuery>): boolean {
    return (
      this.tags.length === 0 && !!request.filters?.length && request.targets.some((q) => q.queryType === "traceql")
    );
  }

  private async loadTags(): Promise<void> {
    this.tags = await this.resources.tags();
  }

  applyTemplateVariables(query: BraidQuery, scoped: ScopedVars, filters?: AdHocVariableFilter[]): BraidQuery {
    const fill = (text: string) => this.templates.replace(text, scoped, formatVariable);
    // An id is no pattern: it is put in as it is.
    const text = query.expr ?? "";
    const filled = {
      ...query,
      expr: query.queryType === "request" ? this.templates.replace(text, scoped) : fill(text),
    };
    if (query.baseline) {
      filled.baseline = fill(query.baseline);
    }
    if (query.legendFormat) {
      filled.legendFormat = this.templates.replace(query.legendFormat, scoped);
    }
    return withFilters(filled, filters, this.tags);
  }

  interpolateVariablesInQueries(
    queries: BraidQuery[],
    scoped: ScopedVars,
    filters?: AdHocVariableFilter[],
  ): BraidQuery[] {
    return queries.map((q) => ({ ...this.applyTemplateVariables(q, scoped, filters), datasource: this.getRef() }));
  }

  getQueryDisplayText(query: BraidQuery): string {
    return query.expr || (query.queryType ?? "");
  }

  // Ad-hoc filters: a name is offered once, as metrics and log lines have it;
  // TraceQL gets the attribute that it stands for.
  async getTagKeys(options?: DataSourceGetTagKeysOptions<BraidQuery>): Promise<MetricFindValue[]> {
    const [metrics, logs] = await Promise.all([
      this.resources.labels(undefined, options?.timeRange),
      this.resources.logLabels(options?.timeRange),
      this.loadTags(),
    ]);
    const names = new Set([...metrics, ...logs]);
    names.delete("__name__");
    return [...names].sort().map((text) => ({ text }));
  }

  async getTagValues(options: DataSourceGetTagValuesOptions<BraidQuery>): Promise<MetricFindValue[]> {
    const [metrics, logs] = await Promise.all([
      this.resources.labelValues(options.key, undefined, options.timeRange),
      this.resources.logLabelValues(options.key, undefined, options.timeRange),
    ]);
    return [...new Set([...metrics, ...logs])].sort().map((text) => ({ text }));
  }

  // Conditions from log details, tables and charts.
  toggleQueryFilter(query: BraidQuery, filter: ToggleFilterAction): BraidQuery {
    return toggle(
      query,
      {
        label: filter.options.key ?? "",
        op: filter.type === "FILTER_OUT" ? "!=" : "=",
        value: filter.options.value ?? "",
      },
      this.tags,
    );
  }

  queryHasFilter(query: BraidQuery, filter: QueryFilterOptions): boolean {
    return hasMatcher(
      query.expr,
      named({ label: filter.key ?? "", op: "=", value: filter.value ?? "" }, query.queryType, this.tags),
    );
  }

  modifyQuery(query: BraidQuery, action: QueryFixAction): BraidQuery {
    const { key, value } = action.options ?? {};
    switch (action.type) {
      case "ADD_FILTER":
      case "ADD_FILTER_OUT":
        return key === undefined
          ? query
          : {
              ...query,
              expr: addMatcher(
                query.expr,
                query.queryType,
                { label: key, op: action.type === "ADD_FILTER" ? "=" : "!=", value: value ?? "" },
                this.tags,
              ),
            };
      case "ADD_STRING_FILTER":
      case "ADD_STRING_FILTER_OUT":
        return value === undefined
          ? query
          : { ...query, expr: `${query.expr} ${action.type === "ADD_STRING_FILTER" ? "|=" : "!="} ${quote(value)}` };
    }
    return query;
  }

  // The lines around a line.
  async getLogRowContext(row: LogRowModel, options?: LogRowContextOptions): Promise<DataQueryResponse> {
    const query = await this.getLogRowContextQuery(row, options);
    const forward = options?.direction === "FORWARD";
    const at = Math.floor(row.timeEpochMs);
    const span = contextHours * 3_600_000;
    const range = forward ? rangeOf(at, at + span) : rangeOf(at - span, at + 1);
    const request: DataQueryRequest<BraidQuery> = {
      app: CoreApp.Explore,
      requestId: `braid-context-${row.uid}-${options?.direction ?? "BACKWARD"}`,
      interval: "1s",
      intervalMs: 1000,
      range,
      scopedVars: options?.scopedVars ?? {},
      startTime: Date.now(),
      targets: [{ ...query, direction: forward ? "forward" : "backward", limit: options?.limit ?? 50 }],
      timezone: "UTC",
    };
    const answer = await lastValueFrom(super.query(request));
    return { ...answer, state: answer.state ?? LoadingState.Done };
  }

  async getLogRowContextQuery(
    row: LogRowModel,
    _options?: LogRowContextOptions,
    query?: BraidQuery,
  ): Promise<BraidQuery> {
    // What names the process that wrote the line, so that its neighbours are
    // those of the same process.
    const stream = ["service_name", "service_namespace", "service_instance_id", "k8s_pod_name", "host_name"].filter(
      (l) => row.labels[l],
    );
    const matchers = stream.map((l) => `${l}=${quote(row.labels[l] as string)}`);
    const first = matchers[0] ?? `service_name=~".+"`;
    const rest = matchers
      .slice(1)
      .map((m) => ` | ${m}`)
      .join("");
    return { refId: query?.refId ?? "context", queryType: "logql", editorMode: "code", expr: `{${first}}${rest}` };
  }

  // The histogram above log lines.
  getSupportedSupplementaryQueryTypes(): SupplementaryQueryType[] {
    return [SupplementaryQueryType.LogsVolume, SupplementaryQueryType.LogsSample];
  }

  getSupplementaryRequest(
    type: SupplementaryQueryType,
    request: DataQueryRequest<BraidQuery>,
  ): DataQueryRequest<BraidQuery> | undefined {
    const targets = request.targets.flatMap((q) => this.getSupplementaryQuery({ type }, q) ?? []);
    return targets.length > 0 ? { ...request, targets, requestId: `${request.requestId}_${type}` } : undefined;
  }

  getSupplementaryQuery(options: SupplementaryQueryOptions, query: BraidQuery): BraidQuery | undefined {
    if (query.queryType !== "logql" || query.hide || query.live) {
      return undefined;
    }
    if (options.type === SupplementaryQueryType.LogsVolume) {
      const expr = volumeOf(query.expr);
      return expr
        ? { ...query, refId: `log-volume-${query.refId}`, expr, legendFormat: "{{detected_level}}", instant: false }
        : undefined;
    }
    const lines = isLines(query.expr) ? "" : linesOf(query.expr);
    return lines
      ? { ...query, refId: `log-sample-${query.refId}`, expr: lines, instant: false, limit: 100 }
      : undefined;
  }
}

function rangeOf(fromMs: number, toMs: number): TimeRange {
  const range = { from: dateTime(fromMs), to: dateTime(toMs) };
  return { ...range, raw: range };
}
