/**
 * Time ranges as people write them and as the URL keeps them.
 *
 * A bound is "now", "now-15m", or epoch milliseconds; relative bounds stay
 * relative in the URL, so that a shared link follows the clock unless it is made
 * absolute on purpose.
 */
export interface RawRange {
  from: string;
  to: string;
}

export interface Range {
  fromMs: number;
  toMs: number;
}

export const defaultRange: RawRange = { from: "now-1h", to: "now" };

export const presets: { label: string; range: RawRange }[] = [
  { label: "Last 5 minutes", range: { from: "now-5m", to: "now" } },
  { label: "Last 15 minutes", range: { from: "now-15m", to: "now" } },
  { label: "Last 30 minutes", range: { from: "now-30m", to: "now" } },
  { label: "Last 1 hour", range: { from: "now-1h", to: "now" } },
  { label: "Last 3 hours", range: { from: "now-3h", to: "now" } },
  { label: "Last 6 hours", range: { from: "now-6h", to: "now" } },
  { label: "Last 12 hours", range: { from: "now-12h", to: "now" } },
  { label: "Last 24 hours", range: { from: "now-24h", to: "now" } },
  { label: "Last 2 days", range: { from: "now-2d", to: "now" } },
  { label: "Last 7 days", range: { from: "now-7d", to: "now" } },
  { label: "Last 30 days", range: { from: "now-30d", to: "now" } },
];

const unitMs: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const unitWords: Record<string, string> = {
  ms: "ms",
  millisecond: "ms",
  milliseconds: "ms",
  s: "s",
  sec: "s",
  secs: "s",
  second: "s",
  seconds: "s",
  m: "m",
  min: "m",
  mins: "m",
  minute: "m",
  minutes: "m",
  h: "h",
  hr: "h",
  hrs: "h",
  hour: "h",
  hours: "h",
  d: "d",
  day: "d",
  days: "d",
  w: "w",
  week: "w",
  weeks: "w",
};

/** "1h30m" or "90 min" in milliseconds; undefined when it is no span of time. */
export function parseSpan(text: string): number | undefined {
  const compact = text.trim().toLowerCase();
  if (!compact) return undefined;
  let rest = compact;
  let total = 0;
  while (rest) {
    const m = /^(\d+(?:\.\d+)?)\s*([a-z]+)\s*/.exec(rest);
    const unit = m && unitWords[m[2]!];
    if (!m || !unit) return undefined;
    total += Number(m[1]) * unitMs[unit]!;
    rest = rest.slice(m[0].length);
  }
  return total;
}

/** Milliseconds of a stored bound; undefined when it does not read. */
export function resolveBound(bound: string, nowMs: number): number | undefined {
  const text = bound.trim();
  if (text === "now") return nowMs;
  const rel = /^now\s*([+-])\s*(.+)$/.exec(text);
  if (rel) {
    const span = parseSpan(rel[2]!);
    return span === undefined ? undefined : nowMs + (rel[1] === "-" ? -span : span);
  }
  if (/^-?\d{1,19}$/.test(text)) return epochToMs(text);
  return undefined;
}

/** Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by size. */
function epochToMs(digits: string): number {
  const n = Number(digits);
  const size = digits.replace("-", "").length;
  if (size <= 10) return n * 1000;
  if (size <= 13) return n;
  if (size <= 16) return n / 1000;
  return n / 1e6;
}

export function resolveRange(raw: RawRange, nowMs: number): Range {
  const from = resolveBound(raw.from, nowMs);
  const to = resolveBound(raw.to, nowMs);
  if (from === undefined || to === undefined || from >= to) return { fromMs: nowMs - 3_600_000, toMs: nowMs };
  return { fromMs: from, toMs: to };
}

/** A day or a moment as people type it, in the local zone. Yields the moment and how long the thing named lasts. */
function parseMoment(text: string, now: Date): { ms: number; lengthMs: number } | undefined {
  const t = text.trim().toLowerCase();
  const bound = resolveBound(t, now.getTime());
  if (bound !== undefined) return { ms: bound, lengthMs: 0 };
  const ago = /^(.+?)\s+ago$/.exec(t);
  if (ago) {
    const span = parseSpan(ago[1]!);
    return span === undefined ? undefined : { ms: now.getTime() - span, lengthMs: 0 };
  }
  const zoned = /^\d{4}-\d\d-\d\dt\d\d:\d\d(:\d\d(\.\d+)?)?(z|[+-]\d\d:?\d\d)$/.exec(t);
  if (zoned) return { ms: Date.parse(text.trim()), lengthMs: 0 };
  const day = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  let rest = t;
  let hasDay = false;
  const iso = /^(\d{4})-(\d\d)-(\d\d)[t ]?/.exec(rest);
  if (iso) {
    day.setFullYear(Number(iso[1]), Number(iso[2]) - 1, Number(iso[3]));
    rest = rest.slice(iso[0].length);
    hasDay = true;
  } else if (/^(today|yesterday)\b/.test(rest)) {
    if (rest.startsWith("yesterday")) day.setDate(day.getDate() - 1);
    rest = rest.replace(/^(today|yesterday)\s*/, "");
    hasDay = true;
  }
  rest = rest.trim();
  if (!rest) return hasDay ? { ms: day.getTime(), lengthMs: 86_400_000 } : undefined;
  const clock = /^(\d{1,2}):(\d\d)(?::(\d\d)(\.\d{1,9})?)?$/.exec(rest);
  if (!clock || Number(clock[1]) > 24 || Number(clock[2]) > 59) return undefined;
  day.setHours(Number(clock[1]), Number(clock[2]), Number(clock[3] ?? 0), Math.floor(Number(clock[4] ?? 0) * 1000));
  return { ms: day.getTime(), lengthMs: clock[3] ? 1000 : 60_000 };
}

/** A typed moment, in the zone that the page shows; undefined when it does not read. */
export function parseTime(text: string, nowMs: number, zone: Zone): number | undefined {
  const fixed = /^-?\d{1,19}$|(z|[+-]\d\d:?\d\d)$/i.test(text.trim()) && !/^\d{4}-\d\d-\d\d$/.test(text.trim());
  // A clock that reads UTC where it means local time.
  const off = zone === "utc" && !fixed ? new Date(nowMs).getTimezoneOffset() * 60_000 : 0;
  const m = parseMoment(text, new Date(nowMs + off));
  return m && m.ms - off;
}

/**
 * Reads a typed range: "last 2h", "2h", "yesterday 14:00-15:00", "today",
 * "2026-11-20 10:00 to 11:00", "now-6h to now-3h", an epoch time (the hour
 * around it). undefined when it does not read.
 */
export function parseRange(text: string, nowMs: number): RawRange | undefined {
  const now = new Date(nowMs);
  const t = text.trim().toLowerCase().replace(/\s+/g, " ");
  if (!t) return undefined;
  const last = parseSpan(t.replace(/^(the )?(last|past|previous) /, "").replace(/^(hour|day|week|minute)$/, "1 $1"));
  if (last) return { from: `now-${shortSpan(last)}`, to: "now" };
  if (t === "today") return absolute(startOfDay(now), nowMs);
  const since = /^since (.+)$/.exec(t);
  if (since) {
    const m = parseMoment(since[1]!, now);
    return m ? { from: String(m.ms), to: "now" } : undefined;
  }
  for (const [left, right] of splits(t)) {
    const a = parseMoment(left, now);
    if (!a) continue;
    // A second bound without a day means the day of the first.
    const b = parseMoment(right, /^\d{1,2}:/.test(right) ? new Date(a.ms) : now);
    if (!b) continue;
    if (/^now/.test(left) && /^now/.test(right)) return { from: left.replace(/ /g, ""), to: right.replace(/ /g, "") };
    const end = /^\d{4}-\d\d-\d\d$|^(today|yesterday)$/.test(right) ? b.ms + b.lengthMs : b.ms;
    if (end > a.ms) return absolute(a.ms, end);
  }
  const one = parseMoment(t, now);
  if (!one) return undefined;
  if (one.lengthMs >= 86_400_000) return absolute(one.ms, Math.min(one.ms + one.lengthMs, Math.max(nowMs, one.ms + 1)));
  return absolute(one.ms - 1_800_000, one.ms + 1_800_000);
}

function absolute(fromMs: number, toMs: number): RawRange {
  return { from: String(Math.floor(fromMs)), to: String(Math.ceil(toMs)) };
}

function startOfDay(d: Date): number {
  return new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime();
}

/** Every way to cut a text into two bounds: at "to", "until", "..", then at each dash. */
function splits(t: string): [string, string][] {
  const out: [string, string][] = [];
  for (const sep of [" to ", " until ", " .. ", "..", " – ", "–", " - "]) {
    const i = t.indexOf(sep);
    if (i > 0) out.push([t.slice(0, i).trim(), t.slice(i + sep.length).trim()]);
  }
  for (let i = t.indexOf("-"); i > 0; i = t.indexOf("-", i + 1))
    out.push([t.slice(0, i).trim(), t.slice(i + 1).trim()]);
  return out;
}

export function shortSpan(ms: number): string {
  for (const u of ["w", "d", "h", "m", "s"]) {
    if (ms % unitMs[u]! === 0 && (u !== "w" || ms >= unitMs.w!)) return `${ms / unitMs[u]!}${u}`;
  }
  return `${Math.round(ms)}ms`;
}

export type Zone = "local" | "utc";

const pad = (n: number, w = 2) => String(n).padStart(w, "0");

/** One way to show a moment: 2026-11-20 14:03:07.123. */
export function formatTime(ms: number, zone: Zone = "local", digits: 0 | 3 = 3): string {
  const d = new Date(ms);
  if (Number.isNaN(d.getTime())) return "no time";
  return `${formatDay(ms, zone)} ${formatClock(ms, zone, digits)}`;
}

export function formatDay(ms: number, zone: Zone = "local"): string {
  const d = new Date(ms);
  if (zone === "utc") return `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())}`;
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
}

export function formatClock(ms: number, zone: Zone = "local", digits: 0 | 3 = 3): string {
  const d = new Date(ms);
  const [h, m, s, f] =
    zone === "utc"
      ? [d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds(), d.getUTCMilliseconds()]
      : [d.getHours(), d.getMinutes(), d.getSeconds(), d.getMilliseconds()];
  return `${pad(h)}:${pad(m)}:${pad(s)}${digits ? `.${pad(f, 3)}` : ""}`;
}

/** A stored range in words: "Last 1 hour", or both moments with the day said once. */
export function describeRange(raw: RawRange, zone: Zone, nowMs: number): string {
  const preset = presets.find((p) => p.range.from === raw.from && p.range.to === raw.to);
  if (preset) return preset.label;
  if (raw.to === "now" && raw.from.startsWith("now-")) return `Last ${raw.from.slice(4)}`;
  const r = resolveRange(raw, nowMs);
  const left = formatTime(r.fromMs, zone, 0);
  const sameDay = formatDay(r.fromMs, zone) === formatDay(r.toMs, zone);
  return `${left} – ${sameDay ? formatClock(r.toMs, zone, 0) : formatTime(r.toMs, zone, 0)}`;
}

const niceSteps = [
  1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
];

/** The step, in seconds, that cuts a range into at most the wanted number of points. */
export function chooseStep(r: Range, points: number): number {
  const wanted = (r.toMs - r.fromMs) / 1000 / Math.max(1, points);
  return niceSteps.find((s) => s >= wanted) ?? Math.ceil(wanted / 86_400) * 86_400;
}

/**
 * Round moments within a range, at most the wanted number of them: whole
 * minutes, hours or days of the zone rather than whatever the range began with.
 */
export function timeTicks(r: Range, most: number, zone: Zone): { ms: number; label: string }[] {
  const step = chooseStep(r, Math.max(1, most)) * 1000;
  const span = r.toMs - r.fromMs;
  if (span <= 0) return [];
  if (span < most * 1000) {
    // Below a second a tick the labels need fractions.
    const part = span / Math.max(1, most);
    return Array.from({ length: most }, (_, i) => {
      const ms = r.fromMs + part * (i + 0.5);
      return { ms, label: formatClock(ms, zone) };
    });
  }
  const offset = zone === "utc" ? 0 : new Date(r.fromMs).getTimezoneOffset() * 60_000;
  const out: { ms: number; label: string }[] = [];
  let before = "";
  for (let ms = Math.ceil((r.fromMs - offset) / step) * step + offset; ms <= r.toMs; ms += step) {
    const day = formatDay(ms, zone);
    const clock = formatClock(ms, zone, 0);
    const short = step >= 60_000 ? clock.slice(0, 5) : clock;
    const label = step >= 86_400_000 ? day.slice(5) : before && before !== day ? `${day.slice(5)} ${short}` : short;
    out.push({ ms, label });
    before = day;
  }
  return out;
}

/** Half and double around the middle, for the zoom buttons. */
export function zoomRange(r: Range, factor: number): RawRange {
  const mid = (r.fromMs + r.toMs) / 2;
  const half = Math.max(1, ((r.toMs - r.fromMs) / 2) * factor);
  return absolute(mid - half, mid + half);
}

export function shiftRange(r: Range, parts: number): RawRange {
  const d = (r.toMs - r.fromMs) * parts;
  return absolute(r.fromMs + d, r.toMs + d);
}

/** A quarter of an hour around something that began and ended in the past. */
export const aroundRange = (fromMs: number, toMs: number): RawRange => absolute(fromMs - 900_000, toMs + 900_000);

export const absoluteRange = (r: Range): RawRange => absolute(r.fromMs, r.toMs);

/** Milliseconds, with fraction, of nanoseconds written as text. */
export function nsToMs(ns: string | number | bigint | undefined): number {
  if (ns === undefined || ns === "") return 0;
  if (typeof ns === "number") return ns / 1e6;
  try {
    const n = BigInt(ns);
    return Number(n / 1000n) / 1000;
  } catch {
    return Number(ns) / 1e6 || 0;
  }
}

export const msToNs = (ms: number): string => `${BigInt(Math.round(ms)) * 1_000_000n}`;
