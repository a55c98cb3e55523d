// What a query answered: its frames as tables, formatted as Grafana formats them.
import {
  applyFieldOverrides,
  type DataFrame,
  type DataQueryResponse,
  getDisplayProcessor,
  type GrafanaTheme2,
  type TimeRange,
  toDataFrame,
} from "@grafana/data";
import { Alert } from "@grafana/ui";

export function Answer({ answer, theme }: { answer: DataQueryResponse; range: TimeRange; theme: GrafanaTheme2 }) {
  const frames = applyFieldOverrides({
    data: answer.data.map((f) => toDataFrame(f)),
    fieldConfig: { defaults: {}, overrides: [] },
    replaceVariables: (v) => v,
    theme,
    timeZone: "utc",
  });
  const reason = answer.errors?.[0]?.message ?? answer.error?.message;
  return (
    <div data-testid="answer" style={{ marginTop: 16 }}>
      {reason && <Alert severity="error" title={reason} />}
      {frames.slice(0, 8).map((f, i) => (
        <Rows key={i} frame={f} theme={theme} />
      ))}
      <pre hidden data-testid="frames">
        {JSON.stringify(frames.map(summary))}
      </pre>
    </div>
  );
}

const summary = (f: DataFrame) => ({
  name: f.name,
  type: f.meta?.type,
  vis: f.meta?.preferredVisualisationType,
  rows: f.length,
  fields: f.fields.map((x) => ({
    name: x.name,
    type: x.type,
    unit: x.config.unit,
    links: x.config.links?.map((l) => l.title),
    first: x.values[0] === undefined ? null : String(x.values[0]),
  })),
});

function Rows({ frame, theme }: { frame: DataFrame; theme: GrafanaTheme2 }) {
  const shown = frame.fields.filter((f) => f.type !== "other");
  const text = (f: DataFrame["fields"][number], i: number) => {
    const d = (f.display ?? getDisplayProcessor({ field: f, theme }))(f.values[i]);
    return `${d.prefix ?? ""}${d.text}${d.suffix ?? ""}`.slice(0, 60);
  };
  return (
    <table style={{ marginBottom: 16, fontSize: 12, borderSpacing: "12px 2px" }}>
      <caption style={{ textAlign: "left", captionSide: "top" }}>{frame.name}</caption>
      <thead>
        <tr>
          {shown.map((f) => (
            <th
              key={f.name}
              style={{ textAlign: "left", padding: "2px 12px 2px 0", color: theme.colors.text.secondary }}
            >
              {f.config.displayName ?? f.name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {Array.from({ length: Math.min(frame.length, 6) }, (_, i) => (
          <tr key={i}>
            {shown.map((f) => (
              <td
                key={f.name}
                style={{
                  padding: "2px 12px 2px 0",
                  verticalAlign: "top",
                  color: f.config.links?.length ? theme.colors.text.link : undefined,
                }}
              >
                {text(f, i)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
