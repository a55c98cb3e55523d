import { Button, IconButton, Stack } from "@grafana/ui";
import { lineOps, type LogModel, logAggregations, logRanges, needsUnwrap, parsers, type Stage } from "../lang/logql";
import { labelOps } from "../lang/matchers";
import type { Resources } from "../resources";
import { Choice, Matchers, Names, Pick, Row, Text } from "./parts";

const lines = "lines";

export function LogBuilder({
  model,
  onChange,
  resources,
}: {
  model: LogModel;
  onChange: (m: LogModel) => void;
  resources: Resources;
}) {
  const labels = () => resources.logLabels();
  const stages = (list: Stage[]) => onChange({ ...model, stages: list });
  const set = (i: number, s: Stage) => stages(model.stages.map((x, k) => (k === i ? s : x)));
  const add = (s: Stage) => stages([...model.stages, s]);
  return (
    <Stack direction="column" gap={0.5}>
      <Row label="Labels">
        <Matchers
          noun="Label"
          list={model.matchers}
          ops={labelOps}
          labels={labels}
          values={(l) => resources.logLabelValues(l)}
          onChange={(matchers) => onChange({ ...model, matchers })}
        />
      </Row>
      {model.stages.map((s, i) => (
        <Row key={i} label={i === 0 ? "Then" : ""}>
          <StageFields stage={s} resources={resources} onChange={(next) => set(i, next)} />
          <IconButton
            name="times"
            tooltip="Remove this stage"
            onClick={() => stages(model.stages.filter((_, k) => k !== i))}
          />
        </Row>
      ))}
      <Row label={model.stages.length === 0 ? "Then" : ""}>
        <Button variant="secondary" size="sm" icon="plus" onClick={() => add({ kind: "line", op: "|=", value: "" })}>
          Line filter
        </Button>
        <Button variant="secondary" size="sm" icon="plus" onClick={() => add({ kind: "parser", name: "json" })}>
          Parser
        </Button>
        <Button
          variant="secondary"
          size="sm"
          icon="plus"
          onClick={() => add({ kind: "label", label: "detected_level", op: "=", value: "error" })}
        >
          Label filter
        </Button>
      </Row>
      <Row label="Answer">
        <Pick
          label="Answer"
          value={model.range?.fn ?? lines}
          list={{ [lines]: "the log lines", ...logRanges }}
          onChange={(fn) => onChange(answer(model, fn))}
          width={24}
        />
        {model.range && (
          <>
            {model.range.fn === "quantile_over_time" && (
              <Text
                label="Quantile"
                value={model.range.param ?? "0.95"}
                onChange={(param) => model.range && onChange({ ...model, range: { ...model.range, param } })}
                width={8}
              />
            )}
            {needsUnwrap(model.range.fn) && (
              <Choice
                label="Value of"
                value={model.range.unwrap ?? ""}
                load={labels}
                onChange={(unwrap) => model.range && onChange({ ...model, range: { ...model.range, unwrap } })}
                placeholder="value of label"
              />
            )}
            <Choice
              label="Window"
              value={model.range.range}
              load={async () => ["$__auto", "1m", "5m", "1h"]}
              onChange={(range) => model.range && onChange({ ...model, range: { ...model.range, range } })}
              width={14}
            />
            <Pick
              label="Aggregation"
              value={model.aggregate?.fn ?? "none"}
              list={{ none: "each series", ...logAggregations }}
              onChange={(fn) =>
                onChange({ ...model, aggregate: fn === "none" ? undefined : { fn, by: model.aggregate?.by ?? [] } })
              }
            />
            {model.aggregate && (
              <Names
                label="by"
                list={model.aggregate.by}
                load={labels}
                onChange={(by) => model.aggregate && onChange({ ...model, aggregate: { ...model.aggregate, by } })}
              />
            )}
          </>
        )}
      </Row>
    </Stack>
  );
}

function answer(model: LogModel, fn: string): LogModel {
  if (fn === lines) {
    return { matchers: model.matchers, stages: model.stages };
  }
  const range = {
    fn,
    range: model.range?.range ?? "$__auto",
    ...(needsUnwrap(fn) && model.range?.unwrap ? { unwrap: model.range.unwrap } : {}),
  };
  return { ...model, range, aggregate: model.aggregate ?? { fn: "sum", by: ["service_name"] } };
}

function StageFields({
  stage,
  resources,
  onChange,
}: {
  stage: Stage;
  resources: Resources;
  onChange: (s: Stage) => void;
}) {
  switch (stage.kind) {
    case "line":
      return (
        <>
          <Pick
            label="Line filter"
            value={stage.op}
            list={lineOps}
            onChange={(op) => onChange({ ...stage, op })}
            width={9}
          />
          <Text label="Text" value={stage.value} onChange={(value) => onChange({ ...stage, value })} width={40} />
        </>
      );
    case "parser":
      return (
        <>
          <Pick
            label="Parser"
            value={stage.name}
            list={parsers}
            onChange={(name) =>
              onChange({
                kind: "parser",
                name,
                ...(name === "pattern" || name === "regexp" ? { value: stage.value ?? "" } : {}),
              })
            }
            width={16}
          />
          {stage.value !== undefined && (
            <Text label="Pattern" value={stage.value} onChange={(value) => onChange({ ...stage, value })} width={40} />
          )}
        </>
      );
    case "label":
      return (
        <>
          <Choice
            label="Filtered label"
            value={stage.label}
            load={() => resources.logLabels()}
            onChange={(label) => onChange({ ...stage, label })}
          />
          <Pick
            label="Comparison"
            value={stage.op}
            list={[...labelOps, ">", ">=", "<", "<="]}
            onChange={(op) => onChange({ ...stage, op })}
            width={9}
          />
          <Choice
            label="Filtered value"
            value={stage.value}
            load={() => resources.logLabelValues(stage.label)}
            onChange={(value) => onChange({ ...stage, value, bare: [">", ">=", "<", "<="].includes(stage.op) })}
          />
        </>
      );
    case "format":
      return (
        <>
          <Pick
            label="Format"
            value={stage.name}
            list={["line_format", "label_format", "drop", "keep"]}
            onChange={(name) => onChange({ ...stage, name })}
            width={16}
          />
          <Text label="Argument" value={stage.value} onChange={(value) => onChange({ ...stage, value })} width={40} />
        </>
      );
  }
}
