/** Rules that are made here: durable, the tenant's own, one group each in one namespace of the rule API. */
import type { RuleBody } from "@/lib/rules";
import { sendJSON } from "./http";
import type { RuleGroup } from "./prom";

/** The namespace of rules that the interface makes. */
export const namespace = "ui";

const path = `/config/v1/rules/${namespace}`;

/** A group is named after its only rule. JSON is YAML, which is what the API reads. */
export const putRule = (rule: RuleBody, interval = "1m") =>
  sendJSON<unknown>("POST", path, { name: rule.alert, interval, rules: [rule] });

export const dropRule = (group: string) => sendJSON<unknown>("DELETE", `${path}/${encodeURIComponent(group)}`);

/** Whether a group was made here and may be changed here. */
export const isOwnGroup = (g: RuleGroup) => g.file.endsWith(`/ns-${namespace}.yml`) || g.file === namespace;
