/** Silences: create with a preview of what they quiet, expire. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Plus, X } from "lucide-react";
import { useState } from "react";
import { type AmAlert, createSilence, expireSilence, type Matcher, matches, type Silence } from "@/api/alertmanager";
import { plural } from "@/lib/format";
import { readStored, writeStored } from "@/lib/settings";
import { parseSpan } from "@/lib/time";
import { Empty, ErrorNotice } from "@/parts/feedback";
import { StateBadge, Time } from "@/parts/show";
import { Table } from "@/parts/table";
import { toast } from "@/parts/toast";
import { useParams } from "@/shell/url";

const text = (m: Matcher) =>
  `${m.name}${m.isEqual === false ? "!" : ""}${m.isRegex ? "=~" : m.isEqual === false ? "=" : "="}${JSON.stringify(m.value)}`.replace(
    "!=~",
    "!~",
  );

function fromLabels(json: string | undefined): Matcher[] {
  try {
    const o = JSON.parse(json ?? "{}") as Record<string, unknown>;
    return Object.entries(o).map(([name, value]) => ({ name, value: String(value), isRegex: false, isEqual: true }));
  } catch {
    return [];
  }
}

export function Silences({
  list,
  alerts,
  error,
}: {
  list: readonly Silence[];
  alerts: readonly AmAlert[];
  error: unknown;
}) {
  const [params, setParams] = useParams();
  const [old, setOld] = useState(false);
  const client = useQueryClient();
  const expire = useMutation({
    mutationFn: expireSilence,
    onSuccess: () => {
      toast("Silence expired");
      void client.invalidateQueries({ queryKey: ["silences"] });
    },
  });
  const shown = list.filter((s) => old || s.status.state !== "expired");
  return (
    <div className="col" style={{ paddingTop: 10 }}>
      <ErrorNotice error={error ?? expire.error} />
      {params.new !== undefined ? (
        <Form
          key={params.new}
          first={fromLabels(params.new)}
          alerts={alerts}
          onDone={() => setParams({ new: undefined })}
        />
      ) : (
        <div className="row">
          <button type="button" className="btn primary" onClick={() => setParams({ new: "{}" })}>
            <Plus size={14} /> New silence
          </button>
          <label className="check">
            <input type="checkbox" checked={old} onChange={(e) => setOld(e.target.checked)} /> expired too
          </label>
        </div>
      )}
      {shown.length === 0 ? (
        <Empty title="No silence is active">
          A silence keeps alerts that match from paging anyone for a while; they stay visible here.
        </Empty>
      ) : (
        <div className="panel scroll">
          <Table
            label="Silences"
            rows={shown}
            rowKey={(s) => s.id}
            initial={{ id: "ends", desc: false }}
            columns={[
              {
                id: "state",
                head: "State",
                cell: (s) => <StateBadge state={s.status.state} />,
                sort: (s) => s.status.state,
              },
              { id: "matchers", head: "Matches", cell: (s) => <code>{s.matchers.map(text).join(", ")}</code> },
              {
                id: "n",
                head: "Alerts now",
                num: true,
                cell: (s) => alerts.filter((a) => matches(s.matchers, a.labels)).length,
              },
              { id: "by", head: "By", cell: (s) => <bdi>{s.createdBy}</bdi>, sort: (s) => s.createdBy },
              { id: "why", head: "Why", cell: (s) => <bdi>{s.comment.slice(0, 200)}</bdi> },
              {
                id: "ends",
                head: "Ends",
                cell: (s) => <Time ms={Date.parse(s.endsAt)} />,
                sort: (s) => Date.parse(s.endsAt),
              },
              {
                id: "do",
                head: "",
                cell: (s) =>
                  s.status.state !== "expired" && (
                    <button
                      type="button"
                      className="btn small"
                      disabled={expire.isPending}
                      onClick={() => expire.mutate(s.id)}
                    >
                      Expire now
                    </button>
                  ),
              },
            ]}
          />
        </div>
      )}
    </div>
  );
}

const whoKey = "braid.silence-author";

function Form({
  first,
  alerts,
  onDone,
}: {
  first: readonly Matcher[];
  alerts: readonly AmAlert[];
  onDone: () => void;
}) {
  const [list, setList] = useState<Matcher[]>(
    first.length ? [...first] : [{ name: "alertname", value: "", isRegex: false, isEqual: true }],
  );
  const [length, setLength] = useState("2h");
  const [who, setWho] = useState(() => readStored(whoKey, ""));
  const [why, setWhy] = useState("");
  const client = useQueryClient();
  const span = parseSpan(length);
  const save = useMutation({
    mutationFn: () =>
      createSilence({
        matchers: list,
        startsAt: new Date().toISOString(),
        endsAt: new Date(Date.now() + (span ?? 0)).toISOString(),
        createdBy: who,
        comment: why,
      }),
    onSuccess: () => {
      writeStored(whoKey, who);
      toast("Silence created");
      void client.invalidateQueries({ queryKey: ["silences"] });
      onDone();
    },
  });
  const hit = alerts.filter((a) => matches(list, a.labels));
  const ok = list.length > 0 && list.every((m) => m.name) && list.some((m) => m.value) && span && who && why;
  const set = (i: number, change: Partial<Matcher>) => setList(list.map((m, j) => (j === i ? { ...m, ...change } : m)));
  return (
    <form
      className="panel"
      onSubmit={(e) => {
        e.preventDefault();
        if (ok) save.mutate();
      }}
    >
      <header>
        <h2>New silence</h2>
      </header>
      <div className="body col">
        <ErrorNotice error={save.error} />
        {list.map((m, i) => (
          <div key={i} className="row">
            <input
              className="input"
              style={{ width: 200 }}
              aria-label="Label"
              placeholder="label"
              value={m.name}
              onChange={(e) => set(i, { name: e.target.value })}
            />
            <select
              className="select"
              aria-label="Comparison"
              value={`${m.isEqual === false ? "!" : "="}${m.isRegex ? "~" : "="}`}
              onChange={(e) => set(i, { isEqual: e.target.value[0] === "=", isRegex: e.target.value[1] === "~" })}
            >
              <option value="==">=</option>
              <option value="!=">!=</option>
              <option value="=~">=~</option>
              <option value="!~">!~</option>
            </select>
            <input
              className="input grow"
              aria-label="Value"
              placeholder="value"
              value={m.value}
              onChange={(e) => set(i, { value: e.target.value })}
            />
            <button
              type="button"
              className="btn icon"
              aria-label="Remove the matcher"
              onClick={() => setList(list.filter((_, j) => j !== i))}
            >
              <X size={14} />
            </button>
          </div>
        ))}
        <div className="row wrap">
          <button
            type="button"
            className="btn small"
            onClick={() => setList([...list, { name: "", value: "", isRegex: false, isEqual: true }])}
          >
            <Plus size={13} /> Matcher
          </button>
        </div>
        <div className="row wrap">
          <label className="field">
            <span>For how long</span>
            <input
              className="input"
              style={{ width: 90 }}
              value={length}
              aria-invalid={!span}
              onChange={(e) => setLength(e.target.value)}
            />
          </label>
          <label className="field">
            <span>Who</span>
            <input className="input" value={who} onChange={(e) => setWho(e.target.value)} />
          </label>
          <label className="field grow">
            <span>Why</span>
            <input
              className="input"
              value={why}
              onChange={(e) => setWhy(e.target.value)}
              placeholder="known: the database is being moved"
            />
          </label>
        </div>
        <p>
          <b>{plural(hit.length, "alert")}</b> would be quiet now{hit.length ? ": " : "."}
          {hit
            .slice(0, 8)
            .map((a) => a.labels.alertname)
            .join(", ")}
        </p>
        <div className="row">
          <button type="submit" className="btn primary" disabled={!ok || save.isPending}>
            Silence
          </button>
          <button type="button" className="btn" onClick={onDone}>
            Cancel
          </button>
          {!ok && <span className="muted small">A matcher with a value, a length, who and why are needed.</span>}
        </div>
      </div>
    </form>
  );
}
