/** Alerts: what fires and why, every rule, silences, and a way to make a rule from a query. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { amAlerts, silences } from "@/api/alertmanager";
import { type Rule, type RuleAlert, type RuleGroup, rules } from "@/api/prom";
import { ErrorNotice, Loading } from "@/parts/feedback";
import { ShareMenu } from "@/parts/menus";
import { Tabs } from "@/parts/overlay";
import { useRange } from "@/shell/range";
import { useTitle } from "@/shell/shell";
import { useParams } from "@/shell/url";
import { Active } from "./active";
import { AlertHistory } from "./history";
import { MakeAlert } from "./make";
import { Rules } from "./rules";
import { Silences } from "./silences";

export interface FlatAlert {
  group: RuleGroup;
  rule: Rule;
  alert: RuleAlert;
}

export const flatten = (groups: readonly RuleGroup[]): FlatAlert[] =>
  groups.flatMap((group) =>
    group.rules.flatMap((rule) => (rule.alerts ?? []).map((alert) => ({ group, rule, alert }))),
  );

export default function AlertsPage() {
  const [params, setParams] = useParams();
  const { nowMs } = useRange();
  useTitle("Alerts");
  const r = useQuery({
    queryKey: ["rules", nowMs],
    queryFn: ({ signal }) => rules(signal),
    placeholderData: keepPreviousData,
    refetchInterval: 15_000,
  });
  const am = useQuery({
    queryKey: ["am-alerts", nowMs],
    queryFn: ({ signal }) => amAlerts(signal),
    placeholderData: keepPreviousData,
    refetchInterval: 15_000,
    retry: false,
  });
  const s = useQuery({
    queryKey: ["silences", nowMs],
    queryFn: ({ signal }) => silences(signal),
    placeholderData: keepPreviousData,
    retry: false,
  });
  const groups = r.data ?? [];
  const active = flatten(groups);
  const count = groups.reduce((n, g) => n + g.rules.length, 0);
  return (
    <div className="page">
      <div className="page-head">
        <h1>Alerts</h1>
        <div className="push">
          <ShareMenu
            data={{
              name: "alerts",
              call: { path: "/api/v1/rules", params: {} },
              json: () => groups,
              table: () => ({
                header: ["alert", "state", "since", "value", "labels"],
                rows: active.map((a) => [
                  a.rule.name,
                  a.alert.state,
                  a.alert.activeAt ?? "",
                  a.alert.value ?? "",
                  JSON.stringify(a.alert.labels),
                ]),
              }),
            }}
          />
        </div>
      </div>
      <Loading on={r.isFetching} />
      <ErrorNotice error={r.error} retry={() => void r.refetch()} />
      <Tabs
        label="Alerts"
        value={params.tab ?? "active"}
        onChange={(t) => setParams({ tab: t === "active" ? undefined : t })}
        tabs={[
          {
            id: "active",
            label: `Firing and pending (${active.length})`,
            content: <Active list={active} sent={am.data ?? []} rules={count} known={r.isSuccess} />,
          },
          { id: "rules", label: `Rules (${count})`, content: <Rules groups={groups} known={r.isSuccess} /> },
          {
            id: "silences",
            label: `Silences (${(s.data ?? []).filter((x) => x.status.state !== "expired").length})`,
            content: <Silences list={s.data ?? []} alerts={am.data ?? []} error={s.error} />,
          },
          { id: "history", label: "History", content: <AlertHistory /> },
          {
            id: "make",
            label: params.rule ? "Change a rule" : "Make an alert",
            content: <MakeAlert key={params.rule ?? ""} groups={groups} />,
          },
        ]}
      />
    </div>
  );
}
