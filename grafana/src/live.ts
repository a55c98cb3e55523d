import {
  type DataFrame,
  type DataQueryRequest,
  type DataQueryResponse,
  LiveChannelScope,
  LoadingState,
  StreamingFrameAction,
  type StreamingFrameOptions,
} from "@grafana/data";
import { getGrafanaLiveSrv } from "@grafana/runtime";
import { defer, map, merge, type Observable } from "rxjs";
import { linesOf } from "./lang/logql";
import type { BraidQuery } from "./types";

/** The channel that tails a LogQL query: its text in base64 for URLs. */
export function tailPath(expr: string): string {
  const bytes = new TextEncoder().encode(expr);
  return `tail/${btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "")}`;
}

/** Log lines as they come, for every LogQL query of the request. */
export function tail(uid: string, request: DataQueryRequest<BraidQuery>): Observable<DataQueryResponse> {
  const buffer: Partial<StreamingFrameOptions> = {
    maxLength: request.maxDataPoints ?? 1000,
    action: StreamingFrameAction.Append,
  };
  const streams = request.targets.flatMap((q) => {
    const expr = q.queryType === "logql" ? linesOf(q.expr) : "";
    if (!expr) {
      return [];
    }
    const addr = { scope: LiveChannelScope.DataSource, stream: uid, path: tailPath(expr), namespace: uid };
    return [
      defer(() => getGrafanaLiveSrv().getDataStream({ key: `${request.requestId}.${q.refId}`, addr, buffer })).pipe(
        map((r) => ({
          ...r,
          data: (r.data as DataFrame[]).map((f) => ({ ...f, refId: q.refId })),
          key: `braid-tail-${q.refId}`,
          state: LoadingState.Streaming,
        })),
      ),
    ];
  });
  return merge(...streams);
}
