/** Every rule with its state; open one to see its query against its threshold. */
import { useState } from "react";
import type { Rule, RuleGroup } from "@/api/prom";
import { duration } from "@/lib/format";
import { Empty, Notice } from "@/parts/feedback";
import { Ago, StateBadge } from "@/parts/show";
import { useRange } from "@/shell/range";
import { RuleChart } from "./rule-chart";

export function Rules({ groups, known }: { groups: readonly RuleGroup[]; known: boolean }) {
  const [find, setFind] = useState("");
  const [state, setState] = useState("");
  const hit = (r: Rule) =>
    (!find || `${r.name} ${r.query}`.toLowerCase().includes(find.toLowerCase())) &&
    (!state || r.state === state || (state === "broken" && r.health === "err"));
  if (known && groups.length === 0)
    return <Empty title="There are no rules yet">Start Braid with --rules, or write one under “Make an alert”.</Empty>;
  return (
    <div className="col" style={{ paddingTop: 10 }}>
      <div className="row">
        <input
          className="input"
          style={{ width: 280 }}
          placeholder="Find a rule"
          aria-label="Find a rule"
          value={find}
          onChange={(e) => setFind(e.target.value)}
        />
        <select className="select" aria-label="State" value={state} onChange={(e) => setState(e.target.value)}>
          <option value="">Any state</option>
          <option value="firing">firing</option>
          <option value="pending">pending</option>
          <option value="inactive">inactive</option>
          <option value="broken">cannot be evaluated</option>
        </select>
      </div>
      {groups
        .map((g) => ({ ...g, rules: g.rules.filter(hit) }))
        .filter((g) => g.rules.length > 0)
        .map((g) => (
          <section key={`${g.file}/${g.name}`} className="panel">
            <header>
              <h3>
                <bdi>{g.name}</bdi>
              </h3>
              <bdi className="faint small cut">{g.file}</bdi>
              <span className="push muted small nowrap">
                every {g.interval} s{g.evaluationTime !== undefined && `, took ${duration(g.evaluationTime * 1e9)}`}
              </span>
            </header>
            {g.rules.map((r, i) => (
              <Row key={`${r.name}/${i}`} rule={r} />
            ))}
          </section>
        ))}
    </div>
  );
}

function Row({ rule }: { rule: Rule }) {
  const [open, setOpen] = useState(false);
  const { nowMs } = useRange();
  return (
    <div style={{ borderBottom: "1px solid var(--line)", padding: "4px 12px" }}>
      <div className="row">
        <button type="button" className="value grow row" aria-expanded={open} onClick={() => setOpen(!open)}>
          <span aria-hidden>{open ? "▾" : "▸"}</span>
          {rule.type === "alerting" ? (
            <StateBadge state={rule.health === "err" ? "error" : (rule.state ?? "unknown")} />
          ) : (
            <span className="badge">recording</span>
          )}
          <b className="nowrap">
            <bdi>{rule.name}</bdi>
          </b>
          <code className="cut muted">
            <bdi>{rule.query}</bdi>
          </code>
        </button>
        <span className="faint small nowrap hide-narrow">
          {rule.duration ? `for ${duration(rule.duration * 1e9)} · ` : ""}
          {rule.lastEvaluation && Date.parse(rule.lastEvaluation) > 0 && (
            <Ago ms={Date.parse(rule.lastEvaluation)} nowMs={Math.max(nowMs, Date.parse(rule.lastEvaluation))} />
          )}
        </span>
      </div>
      {rule.lastError && <Notice kind="error">{rule.lastError}</Notice>}
      {open && (
        <div style={{ padding: "8px 0" }}>
          <RuleChart rule={rule} />
        </div>
      )}
    </div>
  );
}
