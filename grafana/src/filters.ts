import type { AdHocVariableFilter } from "@grafana/data";
import { addToLogQL, addToPromQL, addToTraceQL, hasMatcher, type Matcher, removeMatcher } from "./lang/matchers";
import type { BraidQuery, QueryType } from "./types";

/** A label of a metric or a log line as TraceQL names it: service_name is resource.service.name. */
export function spanAttribute(label: string, tags: readonly string[]): string {
  if (label.includes(".") || label.includes(":")) {
    return label;
  }
  const same = (tag: string) =>
    tag.replace(/^(resource|span|event|link|instrumentation)\./, "").replace(/\W/g, "_") === label;
  return tags.find((t) => t.startsWith("resource.") && same(t)) ?? tags.find(same) ?? `.${label}`;
}

/** An attribute of a span as a metric or a log line has it. */
export function labelOf(attribute: string): string {
  return attribute
    .replace(/^(resource|span|event|link|instrumentation)\./, "")
    .replace(/^\./, "")
    .replace(/\W/g, "_");
}

export function addMatcher(
  expr: string,
  type: QueryType | undefined,
  m: Matcher,
  tags: readonly string[] = [],
): string {
  if (expr.trim() === "") {
    return expr;
  }
  switch (type) {
    case "logql":
      return addToLogQL(expr, { ...m, label: labelOf(m.label) });
    case "traceql":
      return addToTraceQL(expr, { ...m, label: spanAttribute(m.label, tags) });
    case "promql":
    case "behind":
    case undefined:
      return addToPromQL(expr, { ...m, label: labelOf(m.label) });
    default:
      return expr;
  }
}

/** An ad-hoc filter of a dashboard as a matcher; "one of" becomes a pattern. */
export function adHoc(f: AdHocVariableFilter): Matcher {
  if (f.operator === "=|" || f.operator === "!=|") {
    const values = f.values?.length ? f.values : [f.value];
    return { label: f.key, op: f.operator === "=|" ? "=~" : "!~", value: values.map(escapePattern).join("|") };
  }
  return { label: f.key, op: f.operator, value: f.value };
}

export function withFilters(
  query: BraidQuery,
  filters: readonly AdHocVariableFilter[] | undefined,
  tags: readonly string[],
): BraidQuery {
  let expr = query.expr;
  for (const f of filters ?? []) {
    if (f.key) {
      expr = addMatcher(expr, query.queryType, adHoc(f), tags);
    }
  }
  return expr === query.expr ? query : { ...query, expr };
}

/** Adds a condition, or takes it away when it is there. */
export function toggle(query: BraidQuery, m: Matcher, tags: readonly string[]): BraidQuery {
  const own = named(m, query.queryType, tags);
  const opposite = { ...own, op: own.op === "=" ? "!=" : "=" };
  if (hasMatcher(query.expr, own)) {
    return { ...query, expr: removeMatcher(query.expr, own) };
  }
  return { ...query, expr: addMatcher(removeMatcher(query.expr, opposite), query.queryType, m, tags) };
}

/** A matcher with the name that the query's language has for its label. */
export function named(m: Matcher, type: QueryType | undefined, tags: readonly string[]): Matcher {
  return { ...m, label: type === "traceql" ? spanAttribute(m.label, tags) : labelOf(m.label) };
}

export const escapePattern = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** How a variable stands within a quoted string of a query: several values as a pattern of any of them. */
export function formatVariable(value: string | string[], variable: { multi?: boolean; includeAll?: boolean }): string {
  const quoted = (text: string) => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
  if (typeof value === "string") {
    return variable.multi || variable.includeAll ? quoted(escapePattern(value)) : quoted(value);
  }
  if (value.length === 1) {
    return quoted(escapePattern(value[0] as string));
  }
  return `(${value.map((v) => quoted(escapePattern(v))).join("|")})`;
}
