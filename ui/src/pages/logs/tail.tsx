/** New records as they come; a pause keeps what came meanwhile for later. */
import { Pause, Play, Trash2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { type LogLine, tail } from "@/api/loki";
import { plural } from "@/lib/format";
import { Notice } from "@/parts/feedback";
import { LogList } from "./list";

const keep = 5000;

export function LiveTail({
  query,
  columns,
  needles,
}: {
  query: string;
  columns: readonly string[];
  needles: readonly string[];
}) {
  const [lines, setLines] = useState<LogLine[]>([]);
  const [paused, setPaused] = useState(false);
  const [waiting, setWaiting] = useState(0);
  const [dropped, setDropped] = useState(0);
  const [ended, setEnded] = useState<string>();
  const [attempt, setAttempt] = useState(0);
  const buffer = useRef<LogLine[]>([]);
  const isPaused = useRef(paused);
  isPaused.current = paused;

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt connects again
  useEffect(() => {
    setEnded(undefined);
    const stop = tail(
      query,
      (more, lost) => {
        buffer.current.push(...more);
        if (buffer.current.length > keep) buffer.current.splice(0, buffer.current.length - keep);
        if (lost) setDropped((n) => n + lost);
      },
      setEnded,
    );
    // Lines come one by one; the page is drawn a few times a second.
    const timer = setInterval(() => {
      if (isPaused.current) {
        setWaiting(buffer.current.length);
        return;
      }
      if (buffer.current.length === 0) return;
      const more = buffer.current.splice(0);
      setWaiting(0);
      setLines((before) => [...before, ...more].slice(-keep));
    }, 250);
    return () => {
      stop();
      clearInterval(timer);
      buffer.current = [];
    };
  }, [query, attempt]);

  return (
    <div className="panel" style={{ flex: 1, minHeight: 200, display: "flex", flexDirection: "column" }}>
      <div className="row" style={{ padding: "5px 10px" }}>
        <i className="dot" style={{ background: ended ? "var(--error)" : paused ? "var(--warn)" : "var(--ok)" }} />
        <b>{ended ? "Not connected" : paused ? "Paused" : "Live"}</b>
        <span className="muted small">
          {plural(lines.length, "record")}
          {paused && waiting > 0 && `, ${plural(waiting, "new one")} waiting`}
          {dropped > 0 && (
            <span className="t-warn">, {plural(dropped, "record")} left out by the server: narrow the query</span>
          )}
        </span>
        <span className="push row">
          <button type="button" className="btn small" onClick={() => setPaused(!paused)}>
            {paused ? <Play size={13} /> : <Pause size={13} />} {paused ? "Go on" : "Pause"}
          </button>
          <button type="button" className="btn small" onClick={() => setLines([])}>
            <Trash2 size={13} /> Clear
          </button>
        </span>
      </div>
      {ended && (
        <Notice
          kind="warn"
          action={
            <button type="button" className="btn small" onClick={() => setAttempt(attempt + 1)}>
              Connect again
            </button>
          }
        >
          The live view ended: <bdi>{ended}</bdi>
        </Notice>
      )}
      {lines.length === 0 && !ended && (
        <p className="muted" style={{ padding: 16 }}>
          Waiting for records that match.
        </p>
      )}
      <LogList lines={lines} columns={columns} needles={needles} follow={!paused} />
    </div>
  );
}
