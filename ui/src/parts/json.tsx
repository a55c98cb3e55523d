/** A JSON value as a tree; any leaf can be clicked. Big arrays and objects open in parts. */
import { useState } from "react";
import { Value } from "./value";

type Json = string | number | boolean | null | Json[] | { [k: string]: Json };

export function parseJson(text: string): Json | undefined {
  const t = text.trim();
  if (!/^[[{]/.test(t) || t.length > 2_000_000) return undefined;
  try {
    return JSON.parse(t) as Json;
  } catch {
    return undefined;
  }
}

const pageSize = 100;

export function JsonTree({ value, path = "", depth = 0 }: { value: Json; path?: string; depth?: number }) {
  if (value === null || typeof value !== "object") return <Leaf value={value} path={path} />;
  return <Branch value={value} path={path} depth={depth} />;
}

function Leaf({ value, path }: { value: string | number | boolean | null; path: string }) {
  const cls = typeof value === "string" ? "s" : typeof value === "number" ? "n" : "b";
  return (
    <Value field={path} value={String(value)} className={cls}>
      {typeof value === "string" ? JSON.stringify(value.slice(0, 4000)) : String(value)}
    </Value>
  );
}

function Branch({ value, path, depth }: { value: Json[] | { [k: string]: Json }; path: string; depth: number }) {
  const [open, setOpen] = useState(depth < 2);
  const [limit, setLimit] = useState(pageSize);
  const list = Array.isArray(value);
  const entries: [string, Json][] = list ? value.map((v, i) => [String(i), v]) : Object.entries(value);
  const sign = list ? `[${entries.length}]` : `{${entries.length}}`;
  return (
    <span className="json">
      <button type="button" className="value faint" aria-expanded={open} onClick={() => setOpen(!open)}>
        {open ? "▾" : "▸"} {sign}
      </button>
      {open && (
        <ul>
          {entries.slice(0, limit).map(([k, v]) => (
            <li key={k}>
              <span className="k">{k}</span>:{" "}
              <JsonTree value={v} path={path && !list ? `${path}.${k}` : path || k} depth={depth + 1} />
            </li>
          ))}
          {entries.length > limit && (
            <li>
              <button type="button" className="btn small" onClick={() => setLimit(limit + pageSize * 5)}>
                {entries.length - limit} more
              </button>
            </li>
          )}
        </ul>
      )}
    </span>
  );
}
