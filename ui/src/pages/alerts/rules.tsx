/** Every rule with its state; open one to see its query against its threshold. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Copy, Pencil, Trash2 } from "lucide-react";
import { useState } from "react";
import type { Rule, RuleGroup } from "@/api/prom";
import { dropRule, isOwnGroup } from "@/api/rules";
import { duration } from "@/lib/format";
import { draftOf } from "@/lib/rules";
import { Empty, ErrorNotice, Notice } from "@/parts/feedback";
import { Ago, StateBadge } from "@/parts/show";
import { toast } from "@/parts/toast";
import { useRange } from "@/shell/range";
import { A, href, useParams } from "@/shell/url";
import { draftParams } from "./make";
import { RuleChart } from "./rule-chart";

export function Rules({ groups, known }: { groups: readonly RuleGroup[]; known: boolean }) {
  const [params, setParams] = useParams();
  const find = params.find ?? "";
  const state = params.state ?? "";
  const client = useQueryClient();
  const drop = useMutation({
    mutationFn: dropRule,
    onSuccess: (_, group) => {
      toast(`${group} is deleted`);
      void client.invalidateQueries({ queryKey: ["rules"] });
    },
  });
  const hit = (r: Rule) =>
    (!find || `${r.name} ${r.query}`.toLowerCase().includes(find.toLowerCase())) &&
    (!state || r.state === state || (state === "broken" && r.health === "err"));
  if (known && groups.length === 0)
    return (
      <Empty title="There are no rules yet">
        Start Braid with --rules, or <A to={href("/alerting", { tab: "make" })}>make one here</A>.
      </Empty>
    );
  return (
    <div className="col" style={{ paddingTop: 10 }}>
      <div className="row">
        <input
          className="input"
          style={{ width: 280 }}
          placeholder="Find a rule"
          aria-label="Find a rule"
          value={find}
          onChange={(e) => setParams({ find: e.target.value || undefined }, true)}
        />
        <select
          className="select"
          aria-label="State"
          value={state}
          onChange={(e) => setParams({ state: e.target.value || undefined }, true)}
        >
          <option value="">Any state</option>
          <option value="firing">firing</option>
          <option value="pending">pending</option>
          <option value="inactive">inactive</option>
          <option value="broken">cannot be evaluated</option>
        </select>
      </div>
      <ErrorNotice error={drop.error} />
      {groups
        .map((g) => ({ ...g, rules: g.rules.filter(hit) }))
        .filter((g) => g.rules.length > 0)
        .map((g) => (
          <section key={`${g.file}/${g.name}`} className="panel">
            <header>
              <h3>
                <bdi>{g.name}</bdi>
              </h3>
              <bdi className="faint small cut">{isOwnGroup(g) ? "made here" : g.file}</bdi>
              <span className="push muted small nowrap">
                every {g.interval} s{g.evaluationTime !== undefined && `, took ${duration(g.evaluationTime * 1e9)}`}
              </span>
            </header>
            {g.rules.map((r, i) => (
              <Row
                key={`${r.name}/${i}`}
                rule={r}
                group={g}
                onDrop={() => window.confirm(`Delete the rule “${r.name}”?`) && drop.mutate(g.name)}
              />
            ))}
          </section>
        ))}
    </div>
  );
}

function Row({ rule, group, onDrop }: { rule: Rule; group: RuleGroup; onDrop: () => void }) {
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
        {isOwnGroup(group) ? (
          <>
            <A
              className="btn small icon ghost"
              aria-label={`Change ${rule.name}`}
              title="Change"
              to={href("/alerting", { ...draftParams(draftOf(rule)), rule: group.name })}
            >
              <Pencil size={12} />
            </A>
            <button
              type="button"
              className="btn small icon ghost"
              aria-label={`Delete ${rule.name}`}
              title="Delete"
              onClick={onDrop}
            >
              <Trash2 size={12} />
            </button>
          </>
        ) : (
          rule.type === "alerting" && (
            <A
              className="btn small icon ghost"
              aria-label={`Make one like ${rule.name}`}
              title="Make one like it"
              to={href("/alerting", draftParams(draftOf({ ...rule, name: "" })))}
            >
              <Copy size={12} />
            </A>
          )
        )}
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
