/** One way to show errors, warnings, loading and emptiness. */
import { CircleAlert, Info, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { ApiError } from "@/api/http";

export function Notice({
  kind = "info",
  children,
  action,
}: {
  kind?: "info" | "warn" | "error" | "ok";
  children: ReactNode;
  action?: ReactNode;
}) {
  const Icon = kind === "error" ? CircleAlert : kind === "warn" ? TriangleAlert : Info;
  return (
    <div className={`notice ${kind}`} role={kind === "error" ? "alert" : "status"}>
      <Icon size={15} aria-hidden className={kind === "info" ? "" : `t-${kind}`} />
      <div className="grow">{children}</div>
      {action}
    </div>
  );
}

export function ErrorNotice({ error, retry }: { error: unknown; retry?: () => void }) {
  if (!error) return null;
  const e = error instanceof Error ? error : new Error(String(error));
  const overloaded = e instanceof ApiError && (e.status === 429 || e.status === 503);
  return (
    <Notice
      kind="error"
      action={
        retry && (
          <button type="button" className="btn small" onClick={retry}>
            Try again
          </button>
        )
      }
    >
      <bdi>{e.message}</bdi>
      {overloaded && e.retryAfter ? <div className="small muted">The server asks to wait {e.retryAfter} s.</div> : null}
    </Notice>
  );
}

export function Warnings({ list }: { list: readonly string[] | undefined }) {
  if (!list?.length) return null;
  return (
    <Notice kind="warn">
      {list.slice(0, 8).map((w) => (
        <div key={w}>
          <bdi>{w}</bdi>
        </div>
      ))}
    </Notice>
  );
}

/** What a server says besides its answer and that is no fault: one quiet line, opened when wanted. */
export function Infos({ list }: { list: readonly string[] | undefined }) {
  if (!list?.length) return null;
  return (
    <details className="small muted">
      <summary>{list.length === 1 ? "A remark about this query" : `${list.length} remarks about this query`}</summary>
      {list.slice(0, 8).map((w) => (
        <div key={w}>
          <bdi>{w}</bdi>
        </div>
      ))}
    </details>
  );
}

/** A line at the top of a panel; it takes the same place on and off, so nothing moves. */
export function Loading({ on }: { on: boolean }) {
  return <div className="loading" data-on={on} role="progressbar" aria-label="Loading" aria-hidden={!on} />;
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      <div className="muted">{children}</div>
    </div>
  );
}
