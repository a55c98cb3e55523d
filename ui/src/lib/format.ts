/** One way to show each kind of quantity, everywhere. */

function trim(n: number, digits: number): string {
  const s = n.toFixed(digits);
  return s.includes(".") ? s.replace(/\.?0+$/, "") : s;
}

function three(n: number): string {
  const a = Math.abs(n);
  if (a >= 100) return trim(n, 0);
  if (a >= 10) return trim(n, 1);
  return trim(n, 2);
}

/** 950 ns, 1.2 ms, 3.4 s, 2 m 5 s, 1 h 12 m. */
export function duration(ns: number): string {
  if (!Number.isFinite(ns)) return "–";
  if (ns === 0) return "0";
  const sign = ns < 0 ? "-" : "";
  const a = Math.abs(ns);
  if (a < 1000) return `${sign}${trim(a, 0)} ns`;
  if (a < 1e6) return `${sign}${three(a / 1e3)} µs`;
  if (a < 1e9) return `${sign}${three(a / 1e6)} ms`;
  if (a < 60e9) return `${sign}${three(a / 1e9)} s`;
  const s = Math.round(a / 1e9);
  if (s < 3600) return `${sign}${Math.floor(s / 60)} m${s % 60 ? ` ${s % 60} s` : ""}`;
  if (s < 86_400) {
    const m = Math.floor((s % 3600) / 60);
    return `${sign}${Math.floor(s / 3600)} h${m ? ` ${m} m` : ""}`;
  }
  const h = Math.floor((s % 86_400) / 3600);
  return `${sign}${Math.floor(s / 86_400)} d${h ? ` ${h} h` : ""}`;
}

export const durationMs = (ms: number) => duration(ms * 1e6);

export function bytes(n: number): string {
  if (!Number.isFinite(n)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  let v = n;
  while (Math.abs(v) >= 1024 && i < units.length - 1) {
    v /= 1024;
    i++;
  }
  return `${i === 0 ? trim(v, 0) : three(v)} ${units[i]}`;
}

/** 1,234 as it is; 12.3 k, 4.56 M beyond. */
export function count(n: number): string {
  if (!Number.isFinite(n)) return Number.isNaN(n) ? "NaN" : n > 0 ? "+Inf" : "-Inf";
  const a = Math.abs(n);
  if (a >= 1e12) return `${three(n / 1e12)} T`;
  if (a >= 1e9) return `${three(n / 1e9)} G`;
  if (a >= 1e6) return `${three(n / 1e6)} M`;
  if (a >= 1e4) return `${three(n / 1e3)} k`;
  if (a >= 1 || a === 0) return n.toLocaleString("en-GB", { maximumFractionDigits: a >= 100 ? 0 : 2 });
  if (a >= 0.001) return trim(n, 4);
  return n.toExponential(2);
}

/** So many a second, a minute or an hour: whichever reads as a number one can picture. */
export function perSecond(n: number): string {
  const a = Math.abs(n);
  if (!Number.isFinite(n)) return "–";
  if (a === 0) return "0/s";
  if (a >= 10_000) return `${count(n)}/s`;
  if (a >= 0.1) return `${three(n)}/s`;
  if (a >= 0.1 / 60) return `${three(n * 60)}/min`;
  return `${three(n * 3600)}/h`;
}

export const whole = (n: number) => n.toLocaleString("en-GB", { maximumFractionDigits: 0 });

/** What an answer took, as far as the server says it. */
export interface Spent {
  ms: number;
  bytes?: number;
  rows?: number;
  /** What the rows are: "sample", "span", "row". */
  of?: string;
}

/** 120 ms, read 1.5 MiB, 3,400 rows. */
export function spentText(s: Spent): string {
  const read = [...(s.bytes ? [bytes(s.bytes)] : []), ...(s.rows ? [plural(s.rows, s.of ?? "row")] : [])];
  return [durationMs(s.ms), ...(read.length ? [`read ${read.join(", ")}`] : [])].join(", ");
}

/** Several answers of one panel: as long as the longest, all that they read. */
export function sumSpent(list: readonly (Spent | undefined)[]): Spent | undefined {
  const all = list.filter((s) => s !== undefined);
  if (all.length === 0) return undefined;
  const of = all.find((s) => s.of)?.of;
  return {
    ms: Math.max(...all.map((s) => s.ms)),
    bytes: all.reduce((n, s) => n + (s.bytes ?? 0), 0),
    rows: all.reduce((n, s) => n + (s.rows ?? 0), 0),
    ...(of ? { of } : {}),
  };
}

export function percent(part: number): string {
  if (!Number.isFinite(part)) return "–";
  const p = part * 100;
  if (p > 0 && p < 0.1) return "<0.1 %";
  return `${p >= 10 ? trim(p, 0) : trim(p, 1)} %`;
}

/** Labels of an axis: all in the one unit that suits the largest. */
export function axisLabels(values: readonly number[], unit: string | undefined): string[] {
  if (unit !== "/s") return values.map((v) => byUnit(v, unit));
  const most = Math.max(0, ...values.map(Math.abs));
  const [factor, per] = most >= 0.1 || most === 0 ? [1, "s"] : most >= 0.1 / 60 ? [60, "min"] : [3600, "h"];
  return values.map((v) => `${count(Number((v * factor).toPrecision(6)))}/${per}`);
}

/** The unit of a metric decides how its values read. */
export function byUnit(value: number, unit: string | undefined): string {
  switch (unit) {
    case "s":
    case "seconds":
      return duration(value * 1e9);
    case "ms":
    case "milliseconds":
      return duration(value * 1e6);
    case "ns":
      return duration(value);
    case "By":
    case "bytes":
      return bytes(value);
    case "By/s":
      return `${bytes(value)}/s`;
    case "1":
    case "ratio":
      return percent(value);
    case "/s":
      return perSecond(value);
    default:
      return count(value);
  }
}

/** The unit that a PromQL expression yields, guessed from its names; undefined when unsure. */
export function guessUnit(expr: string): string | undefined {
  const e = expr.trim();
  if (/histogram_quantile|histogram_avg/.test(e)) return unitOfName(e);
  if (/\/\s*(sum|rate|count|increase)/.test(e) && /_sum\b/.test(e)) return unitOfName(e);
  if (/\/\s*\(?\s*sum/.test(e)) return "ratio";
  if (/^\s*(count|count_values)\b/.test(e)) return undefined;
  if (/\b(rate|irate)\s*\(/.test(e))
    return /_bytes(_total|_sum)?\b/.test(e) ? "By/s" : /_seconds_(total|sum)\b/.test(e) ? undefined : "/s";
  if (/_(count|total|bucket)\b/.test(e) && !/_bytes/.test(e)) return undefined;
  return unitOfName(e);
}

/** The unit of a histogram's bounds: its metric's own, whatever is done to the counts. */
export const unitOfBuckets = (expr: string) => unitOfName(expr);

function unitOfName(e: string): string | undefined {
  if (/_milliseconds|_ms\b/.test(e)) return "ms";
  if (/_seconds/.test(e)) return "s";
  if (/_bytes/.test(e)) return "By";
  if (/_ratio\b/.test(e)) return "ratio";
  return undefined;
}

/** The first and last characters of a long id. */
export function shortId(id: string, head = 8): string {
  return id.length <= head + 6 ? id : `${id.slice(0, head)}…${id.slice(-4)}`;
}

/** Text cut to a length, for rows; the whole stays a click away. */
export function clip(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max)}… (${bytes(text.length)} in all)`;
}

export const plural = (n: number, one: string, many = `${one}s`) => `${whole(n)} ${n === 1 ? one : many}`;
