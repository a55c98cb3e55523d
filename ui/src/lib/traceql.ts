/** Small, text-level changes to TraceQL queries: what a form or a click on a value does. */

export interface TraceForm {
  service: string;
  name: string;
  status: string;
  min: string;
  max: string;
  /** Conditions beyond the fields of the form, as TraceQL. */
  rest: string;
}

export const emptyForm: TraceForm = { service: "", name: "", status: "", min: "", max: "", rest: "" };

const literal = (v: string) => (/^(true|false|nil|-?\d+(\.\d+)?)$/.test(v) ? v : JSON.stringify(v));

/** A field as TraceQL writes it. */
export function fieldName(field: string): string {
  const m = /^(resource|span|event|link|instrumentation)\.(.+)$/.exec(field);
  if (!m) return field;
  return /^[\w.:-]+$/.test(m[2]!) ? field : `${m[1]}.${JSON.stringify(m[2])}`;
}

export function condition(field: string, op: "=" | "!=", value: string, type?: string): string {
  const bare = field === "status" || field === "kind" || field === "duration" || field === "traceDuration";
  return `${fieldName(field)} ${op} ${bare ? value : type === "string" ? JSON.stringify(value) : literal(value)}`;
}

/** The inside of a query that is one pair of braces and perhaps a pipeline; undefined for anything more. */
export function insideOf(query: string): { inside: string; pipeline: string } | undefined {
  const q = query.trim();
  if (q === "") return { inside: "", pipeline: "" };
  if (!q.startsWith("{")) return undefined;
  let quote = "";
  for (let i = 1; i < q.length; i++) {
    const c = q[i]!;
    if (quote) {
      if (c === "\\" && quote === '"') i++;
      else if (c === quote) quote = "";
    } else if (c === '"' || c === "`") quote = c;
    else if (c === "}") {
      const rest = q.slice(i + 1).trim();
      if (rest && !/^\|(?!\|)/.test(rest)) return undefined;
      return { inside: q.slice(1, i).trim(), pipeline: rest };
    }
  }
  return undefined;
}

/** Conditions joined by && at the top level. */
export function conjuncts(inside: string): string[] | undefined {
  const out: string[] = [];
  let quote = "";
  let depth = 0;
  let from = 0;
  for (let i = 0; i < inside.length; i++) {
    const c = inside[i]!;
    if (quote) {
      if (c === "\\" && quote === '"') i++;
      else if (c === quote) quote = "";
    } else if (c === '"' || c === "`") quote = c;
    else if (c === "(") depth++;
    else if (c === ")") depth--;
    else if (depth === 0 && inside.startsWith("||", i)) return undefined;
    else if (depth === 0 && inside.startsWith("&&", i)) {
      out.push(inside.slice(from, i).trim());
      from = i + 2;
      i++;
    }
  }
  out.push(inside.slice(from).trim());
  return out.filter(Boolean);
}

/** Adds a condition on the same span; more complex queries are joined as another span set. */
export function addCondition(query: string, cond: string): string {
  const q = insideOf(query);
  if (!q) return `${query.trim()} && { ${cond} }`;
  const parts = conjuncts(q.inside);
  if (parts?.includes(cond)) return query;
  const inside =
    q.inside === "" || q.inside === "true" ? cond : parts ? [...parts, cond].join(" && ") : `(${q.inside}) && ${cond}`;
  return `{ ${inside} }${q.pipeline ? ` ${q.pipeline}` : ""}`;
}

/** The part of a query that selects spans, without its pipeline. */
export function spanFilter(query: string): string {
  const q = insideOf(query);
  if (!q) return query.trim() || "{ }";
  return q.inside ? `{ ${q.inside} }` : "{ }";
}

/** What a function for numbers can stand behind: the selection of spans, without what a search does with whole traces. */
export function countable(query: string): string {
  const q = insideOf(query);
  return q ? spanFilter(query) : query.replace(/\s*\|(?![|])[^"`{}]*$/, "").trim() || "{ }";
}

export function toQuery(f: TraceForm): string {
  const parts: string[] = [];
  if (f.service) parts.push(condition("resource.service.name", "=", f.service).replace(/= (\d)/, '= "$1'));
  if (f.name) parts.push(`name = ${JSON.stringify(f.name)}`);
  if (f.status) parts.push(`status = ${f.status}`);
  if (f.min) parts.push(`duration >= ${f.min}`);
  if (f.max) parts.push(`duration <= ${f.max}`);
  if (f.rest) parts.push(f.rest);
  return parts.length ? `{ ${parts.join(" && ")} }` : "{ }";
}

/** The form of a query; undefined when the form cannot show it. */
export function toForm(query: string): TraceForm | undefined {
  const q = insideOf(query);
  if (!q || q.pipeline) return undefined;
  const parts = conjuncts(q.inside);
  if (!parts) return undefined;
  const form = { ...emptyForm };
  const rest: string[] = [];
  for (const p of parts) {
    const m = /^([\w.]+)\s*(=|>=|<=|>|<)\s*(.+)$/.exec(p);
    const value = m?.[3]?.replace(/^"(.*)"$/, "$1") ?? "";
    const key = `${m?.[1]} ${m?.[2]}`;
    if (key === "resource.service.name =") form.service = value;
    else if (key === "name =") form.name = value;
    else if (key === "status =") form.status = value;
    else if (key === "duration >=" || key === "duration >") form.min = value;
    else if (key === "duration <=" || key === "duration <") form.max = value;
    else if (p !== "true") rest.push(p);
  }
  form.rest = rest.join(" && ");
  return form;
}

/** A query for numbers, not for traces. */
export const isTraceMetric = (query: string) =>
  /\|\s*(rate|count_over_time|min_over_time|max_over_time|avg_over_time|sum_over_time|quantile_over_time|histogram_over_time|compare)\s*\(/.test(
    query,
  );
