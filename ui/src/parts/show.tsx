/** One way to show a time, a duration, an id, a service, a level, a state. */
import type { Level } from "@/api/loki";
import { useSettings } from "@/lib/settings";
import { formatClock, formatTime } from "@/lib/time";
import { duration, shortId } from "@/lib/format";
import { serviceColor } from "@/lib/series";
import { A, requestHref } from "@/shell/url";

export function Time({ ms, clock = false }: { ms: number; clock?: boolean }) {
  const { zone } = useSettings();
  if (!Number.isFinite(ms) || ms <= 0) return <span className="faint">no time</span>;
  return (
    <time
      className="nowrap"
      dateTime={new Date(ms).toISOString()}
      title={`${formatTime(ms, zone)} (${zone === "utc" ? "UTC" : "local time"})`}
    >
      {clock ? formatClock(ms, zone) : formatTime(ms, zone)}
    </time>
  );
}

/** "3 m 5 s ago", from a clock that the page gives. */
export function Ago({ ms, nowMs }: { ms: number; nowMs: number }) {
  return (
    <span title={formatTime(ms)}>
      {ms > nowMs ? `in ${duration((ms - nowMs) * 1e6)}` : `${duration((nowMs - ms) * 1e6)} ago`}
    </span>
  );
}

export function RequestLink({ id, full = false }: { id: string; full?: boolean }) {
  if (!id) return <span className="faint">–</span>;
  return (
    <A to={requestHref(id)} className="mono nowrap" title={`Open request ${id} (shift: beside)`}>
      {full ? id : shortId(id)}
    </A>
  );
}

export function Service({ name }: { name: string }) {
  return (
    <span className="row" style={{ gap: 6, display: "inline-flex", maxWidth: "100%" }}>
      <i className="swatch" style={{ background: serviceColor(name) }} aria-hidden />
      <bdi className="cut">{name || "unknown"}</bdi>
    </span>
  );
}

export const levelColor = (l: Level) => `var(--lv-${l})`;

/** Words of a severity: coloured only where it matters, always readable. */
export const levelText = (l: Level) =>
  l === "fatal" || l === "error" ? "var(--error)" : l === "warn" ? "var(--warn)" : "var(--text-2)";

export function LevelMark({ level }: { level: Level }) {
  return (
    <span className="lv" style={{ color: levelText(level) }}>
      {level === "unknown" ? "–" : level}
    </span>
  );
}

type State = "ok" | "warn" | "error" | "idle";

const stateOf: Record<string, State> = {
  healthy: "ok",
  ok: "ok",
  active: "ok",
  inactive: "ok",
  degraded: "warn",
  pending: "warn",
  unhealthy: "error",
  firing: "error",
  error: "error",
  err: "error",
};

/** A state: colour and word, never colour alone. */
export function StateBadge({ state }: { state: string }) {
  const s = stateOf[state.toLowerCase()] ?? "idle";
  return <span className={`badge ${s}`}>{state}</span>;
}
