import {
  CustomVariableSupport,
  type DataQueryRequest,
  type DataQueryResponse,
  FieldType,
  type MetricFindValue,
} from "@grafana/data";
import { from, lastValueFrom, map, type Observable } from "rxjs";
import type { BraidDatasource } from "./datasource";
import { VariableQueryEditor } from "./editor/VariableQueryEditor";
import type { BraidQuery, VariableQuery } from "./types";

/** Template variables: services, metrics, labels, attributes, or the answer of a PromQL query. */
export class VariableSupport extends CustomVariableSupport<BraidDatasource, VariableQuery> {
  editor = VariableQueryEditor;

  constructor(private readonly source: BraidDatasource) {
    super();
  }

  query(request: DataQueryRequest<VariableQuery>): Observable<DataQueryResponse> {
    const q = request.targets[0] as VariableQuery;
    return from(this.values(q, request)).pipe(map((list) => ({ data: list })));
  }

  private async values(raw: VariableQuery, request: DataQueryRequest<VariableQuery>): Promise<MetricFindValue[]> {
    const filled = this.source.applyTemplateVariables(
      { refId: "v", queryType: "promql", expr: raw.expr ?? "" },
      request.scopedVars,
    );
    const label = this.source.applyTemplateVariables(
      { refId: "v", queryType: "request", expr: raw.label ?? "" },
      request.scopedVars,
    ).expr;
    const expr = filled.expr.trim() || undefined;
    const r = this.source.resources;
    const { range } = request;
    const text = (list: string[]) => list.map((value) => ({ text: value }));
    switch (raw.kind) {
      case "services":
        return text(await r.services());
      case "metrics":
        return text(await r.metrics(expr));
      case "labels":
        return text(await r.labels(expr, range));
      case "label_values":
        return label ? text(await r.labelValues(label, expr, range)) : [];
      case "log_labels":
        return text(await r.logLabels(range));
      case "log_label_values":
        return label ? text(await r.logLabelValues(label, expr, range)) : [];
      case "tags":
        return text(await r.tags());
      case "tag_values":
        return label ? text(await r.tagValues(label)) : [];
      case "query":
        return expr ? this.ask(expr, label, request) : [];
    }
  }

  // The series of an instant query, as the label says, or as they are written.
  private async ask(expr: string, label: string, request: DataQueryRequest<VariableQuery>): Promise<MetricFindValue[]> {
    const target: BraidQuery = {
      refId: "A",
      queryType: "promql",
      expr,
      instant: true,
      ...(label ? { legendFormat: `{{${label}}}` } : {}),
    };
    const answer = await lastValueFrom(
      this.source.query({ ...request, targets: [target] } as unknown as DataQueryRequest<BraidQuery>),
    );
    if (answer.errors?.[0]) {
      throw new Error(answer.errors[0].message);
    }
    const values = answer.data.flatMap((f) =>
      f.fields
        .filter((x: { type: FieldType }) => x.type === FieldType.number)
        .map((x: { config: { displayNameFromDS?: string } }) => x.config.displayNameFromDS ?? f.name),
    );
    return [...new Set<string>(values.filter(Boolean))].map((text) => ({ text }));
  }
}
