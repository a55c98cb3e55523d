import { Button, IconButton, Stack, TextArea } from "@grafana/ui";
import { type FederatedModel, federatedSignals, idKinds } from "../lang/federated";
import { Choice, Pick, Row, Text } from "./parts";

const first: Record<string, string> = {
  traces: "{ status = error }",
  logs: '{service_name=~".+"}',
  exemplars: "http_server_request_duration_seconds_bucket",
};

export function FederatedBuilder({
  model,
  onChange,
}: {
  model: FederatedModel;
  onChange: (m: FederatedModel) => void;
}) {
  const names = model.named.map((n) => n.name);
  const set = (i: number, n: Partial<FederatedModel["named"][number]>) => {
    const was = model.named[i]?.name;
    const renamed = (name: string) => (n.name && name === was ? n.name : name);
    onChange({
      ...model,
      named: model.named.map((x, k) => (k === i ? { ...x, ...n } : x)),
      from: renamed(model.from),
      joins: model.joins.map((j) => ({ ...j, name: renamed(j.name) })),
    });
  };
  // A query that is named must be used: a new one comes with its join.
  const add = () => {
    const name = freeName(names);
    onChange({
      ...model,
      named: [...model.named, { name, signal: "logs", query: first.logs as string }],
      joins: [...model.joins, { kind: "semi", name, on: model.joins[0]?.on ?? "trace" }],
    });
  };
  return (
    <Stack direction="column" gap={0.5}>
      {model.named.map((n, i) => (
        <Row key={i} label={i === 0 ? "Queries" : ""}>
          <Text
            label={`Name ${i + 1}`}
            value={n.name}
            onChange={(name) => /^[A-Za-z_]\w*$/.test(name) && set(i, { name })}
            width={12}
          />
          <Pick
            label={`Signal ${i + 1}`}
            value={n.signal}
            list={federatedSignals}
            onChange={(signal) => set(i, { signal, query: first[signal] ?? n.query })}
            width={16}
          />
          <Text
            label={`Query ${i + 1}`}
            value={n.query}
            onChange={(query) => query.trim() && set(i, { query: query.replaceAll("\n", " ").trim() })}
            width={60}
          />
          {model.named.length > 1 && n.name !== model.from && (
            <IconButton
              name="times"
              tooltip="Remove this query"
              onClick={() =>
                onChange({
                  ...model,
                  named: model.named.filter((_, k) => k !== i),
                  joins: model.joins.filter((j) => j.name !== n.name),
                })
              }
            />
          )}
        </Row>
      ))}
      <Row label="">
        <Button variant="secondary" size="sm" icon="plus" onClick={add}>
          Query
        </Button>
      </Row>
      <Row label="Rows of">
        <Pick
          label="Rows of"
          value={model.from}
          list={names}
          onChange={(from) => onChange({ ...model, from })}
          width={16}
        />
        {model.joins.length === 0 && (
          <Choice
            label="Kind of id"
            value={model.by}
            load={async () => idKinds}
            onChange={(by) => onChange({ ...model, by })}
            width={16}
            placeholder="trace"
          />
        )}
      </Row>
      {model.joins.map((j, i) => (
        <Row key={i} label={i === 0 ? "Joined" : ""}>
          <Pick
            label={`Join ${i + 1}`}
            value={j.kind}
            list={{ semi: "in it too", anti: "not in it" }}
            onChange={(kind) =>
              onChange({
                ...model,
                joins: model.joins.map((x, k) => (k === i ? { ...x, kind: kind as "semi" | "anti" } : x)),
              })
            }
          />
          <Pick
            label={`With ${i + 1}`}
            value={j.name}
            list={names}
            onChange={(name) =>
              onChange({ ...model, joins: model.joins.map((x, k) => (k === i ? { ...x, name } : x)) })
            }
            width={16}
          />
          <Choice
            label={`On ${i + 1}`}
            value={j.on}
            load={async () => idKinds}
            onChange={(on) => onChange({ ...model, joins: model.joins.map((x) => ({ ...x, on: on || "trace" })) })}
            width={16}
          />
        </Row>
      ))}
      <Row label="Steps" hint="One a line: enrich, where, group by, top, sort by, limit, select">
        <TextArea
          key={model.steps.join("\n")}
          aria-label="Steps"
          defaultValue={model.steps.join("\n")}
          rows={Math.max(2, model.steps.length)}
          placeholder={"where duration > 1s\n| top 10 by duration"}
          onBlur={(e) =>
            onChange({
              ...model,
              steps: e.currentTarget.value
                .split("\n")
                .map((s) => s.trim())
                .filter(Boolean),
            })
          }
        />
      </Row>
    </Stack>
  );
}

function freeName(names: readonly string[]): string {
  for (let i = 0; ; i++) {
    const name = i < 26 ? String.fromCharCode(97 + i) : `q${i}`;
    if (!names.includes(name)) {
      return name;
    }
  }
}
