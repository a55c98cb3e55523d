/** Millions of lines as dozens of templates, each with its trend. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { levelOf, patterns } from "@/api/loki";
import { count, percent, plural } from "@/lib/format";
import { chooseStep } from "@/lib/time";
import { Empty, ErrorNotice } from "@/parts/feedback";
import { Cost, Progress, useRun } from "@/parts/progress";
import { LevelMark } from "@/parts/show";
import { Spark } from "@/parts/spark";
import { Table } from "@/parts/table";
import { useRange } from "@/shell/range";

export function Patterns({ query, onQuery }: { query: string; onQuery: (q: string) => void }) {
  const { range } = useRange();
  const step = chooseStep(range, 60);
  const key = ["patterns", query, range.fromMs, range.toMs];
  const q = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => patterns(query, range, step, signal),
  });
  const run = useRun({ key, q });
  const rows = useMemo(
    () => (q.data ?? []).map((p) => ({ ...p, total: p.samples.reduce((n, s) => n + s[1], 0) })),
    [q.data],
  );
  const all = rows.reduce((n, r) => n + r.total, 0);
  return (
    <div className="panel scroll grow">
      <Progress run={run} chip={false} />
      <div className="cost" style={{ padding: "0 10px" }}>
        <span>{q.data && plural(rows.length, "pattern")}</span>
        <Cost run={run} />
      </div>
      <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      {q.isSuccess && rows.length === 0 && (
        <Empty title="No patterns in this range">
          Patterns are found among records of one kind: look at a wider range.
        </Empty>
      )}
      {rows.length > 0 && (
        <Table
          label="Patterns"
          rows={rows}
          rowKey={(r) => `${r.level}/${r.pattern}`}
          initial={{ id: "total", desc: true }}
          columns={[
            { id: "total", head: "Records", num: true, cell: (r) => count(r.total), sort: (r) => r.total },
            {
              id: "share",
              head: "Share",
              num: true,
              cell: (r) => percent(all ? r.total / all : 0),
              sort: (r) => r.total,
            },
            { id: "trend", head: "Trend", cell: (r) => <Spark points={r.samples} /> },
            {
              id: "level",
              head: "Level",
              cell: (r) => <LevelMark level={levelOf(r.level)} />,
              sort: (r) => r.level ?? "",
            },
            {
              id: "pattern",
              head: "Pattern",
              cell: (r) => (
                <code style={{ overflowWrap: "anywhere" }}>
                  <bdi>{r.pattern.slice(0, 600)}</bdi>
                </code>
              ),
              sort: (r) => r.pattern,
            },
            {
              id: "do",
              head: "",
              cell: (r) => (
                <span className="row">
                  <button
                    type="button"
                    className="btn small"
                    onClick={() => onQuery(`${query} |> ${JSON.stringify(r.pattern)}`)}
                  >
                    Only
                  </button>
                  <button
                    type="button"
                    className="btn small"
                    onClick={() => onQuery(`${query} !> ${JSON.stringify(r.pattern)}`)}
                  >
                    Hide
                  </button>
                </span>
              ),
            },
          ]}
        />
      )}
    </div>
  );
}
