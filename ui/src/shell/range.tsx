/** The one time range of a page: in the URL as typed, resolved against a clock that ticks on refresh only. */
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { aroundRange, defaultRange, type Range, type RawRange, resolveRange } from "@/lib/time";
import { useParams } from "./url";

interface RangeState {
  raw: RawRange;
  range: Range;
  nowMs: number;
  setRaw: (raw: RawRange) => void;
  /** A selection on a chart, in milliseconds; "back" undoes it. */
  zoomTo: (fromMs: number, toMs: number) => void;
  refresh: () => void;
  /** Seconds between refreshes; 0 is off. */
  every: number;
  setEvery: (seconds: number) => void;
  /** What links to other pages should carry along. */
  carry: { from?: string; to?: string };
}

const Context = createContext<RangeState | undefined>(undefined);

export function RangeProvider({ children }: { children: ReactNode }) {
  const [params, setParams] = useParams();
  const [nowMs, setNow] = useState(() => Date.now());
  const from = params.from ?? defaultRange.from;
  const to = params.to ?? defaultRange.to;
  const every = Math.max(0, Number(params.refresh) || 0);
  const refresh = useCallback(() => setNow(Date.now()), []);

  useEffect(() => {
    if (!every) return;
    const t = setInterval(() => {
      if (!document.hidden) setNow(Date.now());
    }, every * 1000);
    return () => clearInterval(t);
  }, [every]);

  const state = useMemo<RangeState>(() => {
    const raw = { from, to };
    const setRaw = (r: RawRange) => {
      setNow(Date.now());
      setParams({ from: r.from, to: r.to });
    };
    return {
      raw,
      range: resolveRange(raw, nowMs),
      nowMs,
      setRaw,
      zoomTo: (a, b) => {
        if (b - a >= 1) setRaw({ from: String(Math.floor(a)), to: String(Math.ceil(b)) });
      },
      refresh,
      every,
      setEvery: (s) => setParams({ refresh: s ? String(s) : undefined }, true),
      carry: from === defaultRange.from && to === defaultRange.to ? {} : { from, to },
    };
  }, [from, to, nowMs, every, refresh, setParams]);

  return <Context value={state}>{children}</Context>;
}

/** Around one moment of the past: links below lead to ranges that hold it. */
export function CarryRange({ fromMs, toMs, children }: { fromMs: number; toMs: number; children: ReactNode }) {
  const outer = useRange();
  const inside = fromMs >= outer.range.fromMs && toMs <= outer.range.toMs;
  const state = useMemo(
    () => (inside || !(toMs > fromMs) ? outer : { ...outer, carry: aroundRange(fromMs, toMs) }),
    [outer, inside, fromMs, toMs],
  );
  return <Context value={state}>{children}</Context>;
}

export function useRange(): RangeState {
  const s = useContext(Context);
  if (!s) throw new Error("useRange needs a RangeProvider above it");
  return s;
}
