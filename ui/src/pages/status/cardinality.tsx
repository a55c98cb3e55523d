/** What the series are made of: by metric, label, value and sender, and what grows. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { cardinality, type Growth } from "@/api/status";
import { bytes, count, duration, plural } from "@/lib/format";
import { selector } from "@/lib/promql";
import { QueryEditor } from "@/parts/editor";
import { Empty, ErrorNotice, Loading, Notice, Warnings } from "@/parts/feedback";
import { HowToSend } from "@/parts/how-to-send";
import { ShareMenu } from "@/parts/menus";
import { type Column, Table } from "@/parts/table";
import { useRange } from "@/shell/range";
import { A, href, useParams } from "@/shell/url";

const lists = 100;
const maxWindow = 31 * 86_400;

export function CardinalityTab() {
  const { range, carry } = useRange();
  const [params, setParams] = useParams();
  const match = params.match ?? "";
  const [text, setText] = useState(match);
  const seconds = Math.min(maxWindow, (range.toMs - range.fromMs) / 1000);
  const q = useQuery({
    queryKey: ["cardinality", match, range.fromMs, range.toMs, params.label],
    queryFn: ({ signal }) =>
      cardinality(
        { match: match || undefined, windowSeconds: seconds, endMs: range.toMs, limit: lists, label: params.label },
        signal,
      ),
    placeholderData: keepPreviousData,
    retry: false,
  });
  const d = q.data;
  const ask = (m: string | undefined) => {
    setText(m ?? "");
    setParams({ match: m || undefined });
  };
  const asked = (matchers: { name: string; value: string }[]) =>
    ask(
      selector(
        "",
        matchers.map((m) => ({ ...m, op: "=" as const })),
      ),
    );
  if (q.isSuccess && d?.series === 0 && d.before === 0 && !match) return <HowToSend signal="metrics" />;
  const growers = [...(d?.metrics ?? [])].filter((m) => m.new > 0).sort((a, b) => b.new - a.new);
  return (
    <div className="col" style={{ paddingTop: 10 }}>
      <div className="query-bar">
        <QueryEditor
          language="promql"
          label="Selector"
          value={text}
          onChange={setText}
          onRun={(m) => ask(m.trim())}
          placeholder='all series; or a selector such as {service_name="checkout"}'
        />
        <button type="button" className="btn primary" onClick={() => ask(text.trim())}>
          Count
        </button>
        {match && (
          <button type="button" className="btn" onClick={() => ask(undefined)}>
            All series
          </button>
        )}
      </div>
      <Loading on={q.isFetching} />
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      <Warnings list={d?.warnings} />
      {d?.truncated && <Notice kind="warn">There are more series than are counted: narrow by a selector.</Notice>}
      {d && (
        <div className="row wrap">
          <p className="grow">
            <b>{plural(d.series, "series", "series")}</b> in these {duration(seconds * 1e9)}, {count(d.before)} in the{" "}
            {duration(seconds * 1e9)} before: <Change g={d} />
            {d.gone > 0 && `, ${count(d.gone)} gone`}
          </p>
          <ShareMenu
            small
            data={{
              name: "cardinality",
              json: () => d,
              table: () => ({
                header: ["metric", "type", "series", "before", "new"],
                rows: d.metrics.map((m) => [m.name, m.type ?? "", m.series, m.before, m.new]),
              }),
            }}
          />
        </div>
      )}
      {d && d.series === 0 && <Empty title="No series matches in this range">Widen the range, or ask for all.</Empty>}
      {d && d.series > 0 && (
        <div className="cards">
          <List
            title="Top growers"
            hint="metrics by series that were not there before"
            rows={growers}
            value={(m) => m.new}
            columns={[
              {
                id: "name",
                head: "Metric",
                grow: true,
                cell: (m) => <MetricLink name={m.name} carry={carry} />,
                sort: (m) => m.name,
              },
              { id: "new", head: "New", num: true, cell: (m) => `+${count(m.new)}`, sort: (m) => m.new },
              { id: "series", head: "Series", num: true, cell: (m) => count(m.series), sort: (m) => m.series },
            ]}
            initial="new"
          />
          <List
            title="Series by metric"
            rows={d.metrics}
            value={(m) => m.series}
            columns={[
              {
                id: "name",
                head: "Metric",
                grow: true,
                cell: (m) => <MetricLink name={m.name} carry={carry} />,
                sort: (m) => m.name,
              },
              {
                id: "type",
                head: "Type",
                cell: (m) => <span className="muted">{m.type}</span>,
                sort: (m) => m.type ?? "",
              },
              { id: "series", head: "Series", num: true, cell: (m) => count(m.series), sort: (m) => m.series },
              {
                id: "change",
                head: "Change",
                num: true,
                cell: (m) => <Change g={m} />,
                sort: (m) => m.series - m.before,
              },
            ]}
            initial="series"
          />
          <List
            title="Who sends them"
            rows={d.senders}
            value={(s) => s.series}
            columns={[
              {
                id: "job",
                head: "Job",
                grow: true,
                cell: (s) => (
                  <button type="button" className="link" onClick={() => asked([{ name: "job", value: s.job }])}>
                    {s.job || "(no job)"}
                  </button>
                ),
                sort: (s) => s.job,
              },
              { id: "n", head: "Instances", num: true, cell: (s) => count(s.instances), sort: (s) => s.instances },
              { id: "series", head: "Series", num: true, cell: (s) => count(s.series), sort: (s) => s.series },
              {
                id: "change",
                head: "Change",
                num: true,
                cell: (s) => <Change g={s} />,
                sort: (s) => s.series - s.before,
              },
            ]}
            initial="series"
          />
          <List
            title="Values by label"
            hint="click a label to count each of its values"
            rows={d.labels}
            value={(l) => l.values}
            columns={[
              {
                id: "name",
                head: "Label",
                grow: true,
                cell: (l) => (
                  <button type="button" className="link" onClick={() => setParams({ label: l.name })}>
                    {l.name}
                  </button>
                ),
                sort: (l) => l.name,
              },
              { id: "values", head: "Values", num: true, cell: (l) => count(l.values), sort: (l) => l.values },
              { id: "series", head: "Series", num: true, cell: (l) => count(l.series), sort: (l) => l.series },
              { id: "bytes", head: "Bytes", num: true, cell: (l) => bytes(l.bytes), sort: (l) => l.bytes },
            ]}
            initial="values"
          />
          {params.label && (
            <List
              title={`Values of ${params.label}`}
              rows={d.label_values ?? []}
              value={(v) => v.series}
              onClose={() => setParams({ label: undefined })}
              columns={[
                {
                  id: "value",
                  head: "Value",
                  grow: true,
                  cell: (v) => (
                    <button
                      type="button"
                      className="link"
                      onClick={() => asked([{ name: params.label ?? "", value: v.value }])}
                    >
                      <bdi>{v.value || "(none)"}</bdi>
                    </button>
                  ),
                  sort: (v) => v.value,
                },
                { id: "series", head: "Series", num: true, cell: (v) => count(v.series), sort: (v) => v.series },
                {
                  id: "change",
                  head: "Change",
                  num: true,
                  cell: (v) => <Change g={v} />,
                  sort: (v) => v.series - v.before,
                },
              ]}
              initial="series"
            />
          )}
          <List
            title="Series by label and value"
            rows={d.values}
            value={(v) => v.series}
            columns={[
              {
                id: "pair",
                head: "Pair",
                grow: true,
                cell: (v) => (
                  <button type="button" className="link" onClick={() => asked([{ name: v.label, value: v.value }])}>
                    <bdi>
                      {v.label}={v.value}
                    </bdi>
                  </button>
                ),
                sort: (v) => `${v.label}=${v.value}`,
              },
              { id: "series", head: "Series", num: true, cell: (v) => count(v.series), sort: (v) => v.series },
            ]}
            initial="series"
          />
        </div>
      )}
    </div>
  );
}

function MetricLink({ name, carry }: { name: string; carry: Record<string, string | undefined> }) {
  return <A to={href("/explore/metrics", { ...carry, metric: name })}>{name}</A>;
}

/** How a number of series moved against the window before. */
function Change({ g }: { g: Growth }) {
  const n = g.series - g.before;
  if (n === 0) return <span className="faint">±0</span>;
  return <span className={n > 0 ? "t-warn" : "muted"}>{n > 0 ? `+${count(n)}` : `−${count(-n)}`}</span>;
}

function List<T>({
  title,
  hint,
  rows,
  value,
  columns,
  initial,
  onClose,
}: {
  title: string;
  hint?: string;
  rows: readonly T[];
  value: (row: T) => number;
  columns: readonly Column<T>[];
  initial: string;
  onClose?: () => void;
}) {
  const max = Math.max(1, ...rows.map(value));
  const [first, ...rest] = columns;
  const bar: Column<T> = {
    id: "bar",
    head: "",
    cell: (r) => (
      <div className="bar" style={{ width: 70 }}>
        <i style={{ width: `${(value(r) / max) * 100}%` }} />
      </div>
    ),
  };
  return (
    <section className="panel scroll" style={{ maxHeight: 420 }} aria-label={title}>
      <header>
        <h3>{title}</h3>
        {hint && <span className="muted small cut">{hint}</span>}
        {onClose && (
          <button type="button" className="btn small ghost push" onClick={onClose}>
            Close
          </button>
        )}
      </header>
      {rows.length === 0 ? (
        <p className="body muted">None in this range.</p>
      ) : (
        <Table
          label={title}
          rows={rows}
          rowKey={(_, i) => String(i)}
          initial={{ id: initial, desc: true }}
          columns={first ? [first, bar, ...rest] : columns}
        />
      )}
    </section>
  );
}
