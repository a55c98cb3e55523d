/**
 * What a query does while it runs: how long already, a way to end it; then
 * what it took, or that it was ended and can be run again. One way for every
 * panel, table and chart.
 */
import { hashKey, type QueryKey, useQueryClient } from "@tanstack/react-query";
import { Square } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { durationMs, type Spent, spentText } from "@/lib/format";
import { Loading, Notice } from "./feedback";

/** A query that is wanted: its key, and what TanStack Query says of it. */
export interface Asked {
  key: QueryKey;
  q: {
    fetchStatus: "fetching" | "paused" | "idle";
    status: "pending" | "error" | "success";
    isPlaceholderData: boolean;
    refetch: () => unknown;
  };
}

export interface Run {
  running: boolean;
  /** Ended by the user before an answer was here; what is shown is from before, if anything. */
  cancelled: boolean;
  /** How long it runs, or ran. */
  ms: number;
  cancel: () => void;
  again: () => void;
}

/** Queries that one part of a page asks together. A query that is switched off is left out by its caller. */
export function useRun(...asked: readonly Asked[]): Run {
  const client = useQueryClient();
  const running = asked.some((a) => a.q.fetchStatus === "fetching");
  const ms = useElapsed(running, asked.map((a) => hashKey(a.key)).join());
  const unanswered = (a: Asked) => a.q.fetchStatus === "idle" && (a.q.status === "pending" || a.q.isPlaceholderData);
  const latest = useRef(asked);
  latest.current = asked;
  return {
    running,
    cancelled: !running && asked.some(unanswered),
    ms,
    ...useMemo(
      () => ({
        cancel: () => {
          for (const a of latest.current) void client.cancelQueries({ queryKey: a.key, exact: true });
        },
        again: () => {
          for (const a of latest.current)
            if (a.q.fetchStatus === "idle" && (a.q.status === "pending" || a.q.isPlaceholderData)) void a.q.refetch();
        },
      }),
      [client],
    ),
  };
}

/** Milliseconds since something began; they stand still when it ends. */
function useElapsed(running: boolean, what: string): number {
  const [ms, setMs] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another question starts anew
  useEffect(() => {
    if (!running) return;
    const start = performance.now();
    const tick = () => setMs(performance.now() - start);
    setMs(0);
    const timer = setInterval(tick, 200);
    return () => {
      clearInterval(timer);
      tick();
    };
  }, [running, what]);
  return ms;
}

/** What is quick needs no button: it would only flash. */
const patienceMs = 400;

const tenths = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** Above the answer: a moving line while it runs, with its time and a way out once it takes long; a quiet word when it was ended. */
export function Progress({ run, chip = true }: { run: Run; chip?: boolean }) {
  return (
    <>
      <div className="progress">
        <Loading on={run.running} />
        {chip && run.running && run.ms > patienceMs && (
          <div className="running">
            <Cancel run={run} />
          </div>
        )}
      </div>
      <Cancelled run={run} />
    </>
  );
}

export function Cancelled({ run }: { run: Run }) {
  if (!run.cancelled) return null;
  return (
    <Notice
      action={
        <button type="button" className="btn small" onClick={run.again}>
          Run again
        </button>
      }
    >
      Cancelled{run.ms > 0 && ` after ${tenths(run.ms)}`}.
    </Notice>
  );
}

function Cancel({ run }: { run: Run }) {
  return (
    <>
      <span className="num">{tenths(run.ms)}</span>
      <button type="button" className="btn small" onClick={run.cancel}>
        <Square size={11} /> Cancel
      </button>
    </>
  );
}

/** In a line of its own beside the answer: the time that it takes and a way out, then what it took and read. */
export function Cost({ run, spent }: { run: Run; spent?: Spent | undefined }) {
  // The place is as wide before and after: nothing beside it moves.
  return (
    <span className="spent num">
      {run.running ? (
        <Cancel run={run} />
      ) : run.cancelled ? (
        "cancelled"
      ) : spent ? (
        <span className="cut" title={spentText(spent)}>
          {spentText(spent)}
        </span>
      ) : (
        run.ms > 0 && durationMs(run.ms)
      )}
    </span>
  );
}
