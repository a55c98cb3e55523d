import type { QueryEditorProps } from "@grafana/data";
import { Stack } from "@grafana/ui";
import type { BraidDatasource } from "../datasource";
import type { BraidOptions, BraidQuery, VariableQuery } from "../types";
import { CodeField } from "./CodeField";
import { Choice, Pick, Row } from "./parts";

const kinds: Record<VariableQuery["kind"], string> = {
  services: "names of services",
  metrics: "names of metrics",
  labels: "labels of metrics",
  label_values: "values of a label of metrics",
  log_labels: "labels of log lines",
  log_label_values: "values of a label of log lines",
  tags: "attributes of spans",
  tag_values: "values of an attribute of spans",
  query: "the series of a PromQL query",
};
const withSelector = new Set(["metrics", "labels", "label_values", "log_label_values", "query"]);

/** The editor of a template variable. */
export function VariableQueryEditor({
  query,
  onChange,
  datasource,
}: QueryEditorProps<BraidDatasource, BraidQuery, BraidOptions, VariableQuery>) {
  const kind = query.kind ?? "services";
  const r = datasource.resources;
  const set = (change: Partial<VariableQuery>) =>
    onChange({ ...query, refId: query.refId ?? "BraidVariable", kind, ...change });
  const labels = () =>
    kind === "log_label_values" ? r.logLabels() : kind === "tag_values" ? r.tags() : r.labels(query.expr);
  return (
    <Stack direction="column" gap={0.5}>
      <Row label="List">
        <Pick
          label="List"
          value={kind}
          list={kinds}
          onChange={(k) => set({ kind: k as VariableQuery["kind"], label: undefined, expr: undefined })}
          width={36}
        />
      </Row>
      {(kind === "label_values" || kind === "log_label_values" || kind === "tag_values" || kind === "query") && (
        <Row
          label="Label"
          hint={kind === "query" ? "The label whose values are listed; empty: the series as written" : undefined}
        >
          <Choice
            label="Label"
            value={query.label ?? ""}
            load={labels}
            onChange={(label) => set({ label })}
            width={36}
          />
        </Row>
      )}
      {withSelector.has(kind) && (
        <Row label={kind === "query" ? "Query" : "Of"} hint="A selector that narrows the list">
          <CodeField
            type={kind === "log_label_values" ? "logql" : "promql"}
            value={query.expr ?? ""}
            lists={r}
            onChange={(expr) => set({ expr })}
            onRun={() => undefined}
            lines={1}
          />
        </Row>
      )}
    </Stack>
  );
}
