/** Rules that are made here: durable, the tenant's own, one group each in one namespace of the rule API. */
import type { RuleBody } from "@/lib/rules";
import { sendJSON } from "./http";
import type { Labels, RuleGroup } from "./prom";

/** The namespace of rules that the interface makes. */
export const namespace = "ui";

const path = `/config/v1/rules/${namespace}`;

/** A group is named after its only rule. JSON is YAML, which is what the API reads. */
export const putRule = (rule: RuleBody, interval = "1m") =>
  sendJSON<unknown>("POST", path, { name: rule.alert, interval, rules: [rule] });

export const dropRule = (group: string) => sendJSON<unknown>("DELETE", `${path}/${encodeURIComponent(group)}`);

/** Whether a group was made here and may be changed here. */
export const isOwnGroup = (g: RuleGroup) => g.file.endsWith(`/ns-${namespace}.yml`) || g.file === namespace;

/** When one alert was pending, and fired, if it did. */
export interface TrialTime {
  pendingMs: number;
  firedMs?: number;
  endMs: number;
  open?: boolean;
  peak?: number;
}

/** What a rule that is not there yet would have done, by the state machine of the running rules. */
export interface Trial {
  evaluations: number;
  firings: number;
  pendingOnly: number;
  firingSeconds: number;
  pendingSeconds: number;
  truncated: boolean;
  series?: { labels: Labels; times: TrialTime[] }[];
}

export interface Attempt {
  language: "promql" | "logql" | "traceql";
  expr: string;
  op?: string;
  threshold?: number;
  for?: string;
  interval: string;
  start: string;
  end: string;
}

export const tryRule = (a: Attempt, signal?: AbortSignal) =>
  sendJSON<Trial>("POST", "/api/braid/v1/alerts/try", a, signal);
