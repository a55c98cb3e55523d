import { Stack } from "@grafana/ui";
import { defaultArgs, intrinsics, keywordsOf, spanMetrics, spanOps, type TraceModel } from "../lang/traceql";
import type { Resources } from "../resources";
import { Matchers, Names, Pick, Row, Text } from "./parts";

const traces = "traces";

export function TraceBuilder({
  model,
  onChange,
  resources,
}: {
  model: TraceModel;
  onChange: (m: TraceModel) => void;
  resources: Resources;
}) {
  const attributes = async () => {
    const own = Object.keys(intrinsics);
    return [...own, ...(await resources.tags()).filter((t) => !own.includes(t))];
  };
  const metrics = (change: Partial<NonNullable<TraceModel["metrics"]>>) =>
    model.metrics && onChange({ ...model, metrics: { ...model.metrics, ...change } });
  return (
    <Stack direction="column" gap={0.5}>
      <Row label="Spans with">
        <Matchers
          noun="Attribute"
          list={model.filters}
          ops={spanOps}
          labels={attributes}
          values={async (name) => [...(keywordsOf(name) ?? (await resources.tagValues(name)))]}
          onChange={(filters) => onChange({ ...model, filters })}
        />
      </Row>
      <Row label="Answer">
        <Pick
          label="Answer"
          value={model.metrics?.fn ?? traces}
          list={{ [traces]: "the traces", ...spanMetrics }}
          onChange={(fn) =>
            onChange(
              fn === traces
                ? { filters: model.filters }
                : { ...model, metrics: { fn, args: defaultArgs(fn), by: model.metrics?.by ?? [] } },
            )
          }
          width={24}
        />
        {model.metrics && model.metrics.args.length > 0 && (
          <Text
            label="Of"
            value={model.metrics.args.join(", ")}
            onChange={(v) =>
              metrics({
                args: v
                  .split(",")
                  .map((x) => x.trim())
                  .filter(Boolean),
              })
            }
            width={28}
          />
        )}
        {model.metrics && (
          <Names label="by" list={model.metrics.by} load={attributes} onChange={(by) => metrics({ by })} />
        )}
      </Row>
    </Stack>
  );
}
