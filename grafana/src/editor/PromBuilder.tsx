import { IconButton, Stack } from "@grafana/ui";
import { labelOps } from "../lang/matchers";
import {
  aggregations,
  binaryOps,
  defaultParam,
  functions,
  type Operation,
  type PromModel,
  rangeFunctions,
  renderPromQL,
} from "../lang/promql";
import type { Resources } from "../resources";
import { Choice, Matchers, Names, Pick, Row, Text } from "./parts";

const windows = ["$__rate_interval", "$__interval", "$__range", "1m", "5m", "15m", "1h"];
const kinds = {
  "over a window": "range",
  "over series": "aggregate",
  "of each value": "function",
  "with a number": "binary",
} as const;

export function PromBuilder({
  model,
  onChange,
  resources,
}: {
  model: PromModel;
  onChange: (m: PromModel) => void;
  resources: Resources;
}) {
  // Only what exists with the conditions chosen so far is offered.
  const chosen = (without?: string) => {
    const rest = model.matchers.filter((m) => m.label && m.value && m.label !== without);
    return model.metric || rest.length > 0
      ? renderPromQL({ metric: model.metric, matchers: rest, operations: [] })
      : undefined;
  };
  const labels = async () => (await resources.labels(chosen())).filter((l) => l !== "__name__");
  const set = (i: number, op: Operation) =>
    onChange({ ...model, operations: model.operations.map((x, k) => (k === i ? op : x)) });
  return (
    <Stack direction="column" gap={0.5}>
      <Row label="Metric">
        <Choice
          label="Metric"
          value={model.metric}
          load={() => resources.metrics()}
          onChange={(metric) => onChange({ ...model, metric })}
          width={50}
        />
      </Row>
      <Row label="Labels">
        <Matchers
          noun="Label"
          list={model.matchers}
          ops={labelOps}
          labels={labels}
          values={(l) => resources.labelValues(l, chosen(l))}
          onChange={(matchers) => onChange({ ...model, matchers })}
        />
      </Row>
      {model.operations.map((op, i) => (
        <Row key={i} label={i === 0 ? "Then" : ""}>
          <OperationFields op={op} labels={labels} onChange={(next) => set(i, next)} />
          <IconButton
            name="times"
            tooltip="Remove this operation"
            onClick={() => onChange({ ...model, operations: model.operations.filter((_, k) => k !== i) })}
          />
        </Row>
      ))}
      <Row label={model.operations.length === 0 ? "Then" : ""}>
        {Object.entries(kinds).map(([words, kind]) =>
          kind === "range" && model.operations.length > 0 ? null : (
            <Choice
              key={`${words}${model.operations.length}`}
              label={words}
              placeholder={`+ ${words}`}
              value=""
              width={20}
              load={async () => choicesOf(kind)}
              onChange={(fn) => onChange({ ...model, operations: [...model.operations, made(kind, fn)] })}
            />
          ),
        )}
      </Row>
    </Stack>
  );
}

function choicesOf(kind: Operation["kind"]): string[] {
  return kind === "binary"
    ? [...binaryOps]
    : Object.keys(kind === "range" ? rangeFunctions : kind === "aggregate" ? aggregations : functions);
}

function made(kind: Operation["kind"], name: string): Operation {
  const param = defaultParam(name);
  const extra = param === undefined ? {} : { param };
  switch (kind) {
    case "range":
      return { kind, fn: name, range: "$__rate_interval", ...extra };
    case "aggregate":
      return { kind, fn: name, by: [], ...extra };
    case "function":
      return { kind, fn: name, ...extra };
    case "binary":
      return { kind, op: name, value: "1" };
  }
}

function OperationFields({
  op,
  labels,
  onChange,
}: {
  op: Operation;
  labels: () => Promise<string[]>;
  onChange: (op: Operation) => void;
}) {
  if (op.kind === "binary") {
    return (
      <>
        <Pick label="Operator" value={op.op} list={binaryOps} onChange={(o) => onChange({ ...op, op: o })} width={9} />
        <Text
          label="Number"
          value={op.value}
          onChange={(value) => onChange({ ...op, value: value || "1" })}
          width={12}
        />
      </>
    );
  }
  const list = op.kind === "range" ? rangeFunctions : op.kind === "aggregate" ? aggregations : functions;
  return (
    <>
      <Pick
        label="Function"
        value={op.fn}
        list={list}
        onChange={(fn) => onChange({ ...op, fn, param: defaultParam(fn) })}
        width={24}
      />
      {op.param !== undefined && (
        <Text
          label="Parameter"
          value={op.param}
          onChange={(param) => onChange({ ...op, param: param || defaultParam(op.fn) })}
          width={10}
        />
      )}
      {op.kind === "range" && (
        <Choice
          label="Window"
          value={op.range}
          load={async () => windows}
          onChange={(range) => onChange({ ...op, range: range || "5m" })}
          width={20}
        />
      )}
      {op.kind === "aggregate" && (
        <>
          <Pick
            label="Grouping"
            value={op.without ? "without" : "by"}
            list={["by", "without"]}
            onChange={(v) => onChange({ ...op, without: v === "without" })}
            width={12}
          />
          <Names label="Label" list={op.by} load={labels} onChange={(by) => onChange({ ...op, by })} />
        </>
      )}
    </>
  );
}
