// What a data source needs of Grafana, as little as is true: its services are
// HTTP calls, answered by the plugin; variables are the few that a page sets.
import { type DataSourceInstanceSettings, type ScopedVars, toDataFrame } from "@grafana/data";
import {
  type BackendSrv,
  type BackendSrvRequest,
  type FetchResponse,
  setBackendSrv,
  setTemplateSrv,
  type TemplateSrv,
} from "@grafana/runtime";
import { from, type Observable } from "rxjs";

async function call<T>(request: BackendSrvRequest): Promise<FetchResponse<T>> {
  const params = new URLSearchParams((request.params ?? {}) as Record<string, string>).toString();
  const url = `${request.url.startsWith("/") ? "" : "/"}${request.url}${params ? `${request.url.includes("?") ? "&" : "?"}${params}` : ""}`;
  const answer = await fetch(url, {
    method: request.method ?? "GET",
    ...(request.data === undefined
      ? {}
      : { body: JSON.stringify(request.data), headers: { "Content-Type": "application/json" } }),
  });
  const data = await answer.json();
  const shaped = { data, status: answer.status, statusText: answer.statusText, ok: answer.ok, config: request };
  if (!answer.ok) {
    throw shaped;
  }
  return shaped as FetchResponse<T>;
}

/** Sets Grafana's services. Values of variables stand in for a dashboard's. */
export function setServices(variables: Record<string, string | string[]>) {
  setBackendSrv({
    fetch: <T>(request: BackendSrvRequest): Observable<FetchResponse<T>> => from(call<T>(request)),
    get: async <T>(url: string, params?: BackendSrvRequest["params"]) => (await call<T>({ url, params })).data,
  } as unknown as BackendSrv);
  setTemplateSrv({
    getVariables: () => [],
    containsTemplate: (text?: string) => !!text?.includes("$"),
    updateTimeRange: () => undefined,
    replace: (text = "", scoped?: ScopedVars, format?: unknown) =>
      text.replace(/\$(\w+)|\$\{(\w+)\}/g, (all, a?: string, b?: string) => {
        const value = scoped?.[a ?? b ?? ""]?.value ?? variables[a ?? b ?? ""];
        if (value === undefined) {
          return all;
        }
        return typeof format === "function" ? format(value, { multi: Array.isArray(value) }, () => "") : String(value);
      }),
  } as TemplateSrv);
}

export const settings = {
  id: 1,
  uid: "braid",
  type: "braid-datasource",
  name: "Braid",
  access: "proxy",
  url: "/",
  readOnly: false,
  jsonData: {},
  meta: { id: "braid-datasource", name: "Braid", type: "datasource" },
} as unknown as DataSourceInstanceSettings;

export { toDataFrame };
