/**
 * Every request of the program passes here: same origin, tenant header,
 * cancellation, one error type whose message can be shown as it is.
 */
import { settings } from "@/lib/settings";

export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    message: string,
    readonly status: number,
    readonly path: string,
    /** Seconds to wait when the server is overloaded. */
    readonly retryAfter?: number,
  ) {
    super(message);
  }
}

export type Params = Record<string, string | number | boolean | undefined | readonly string[]>;

export function withParams(path: string, params?: Params): string {
  if (!params) return path;
  const p = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) {
    if (v === undefined || v === "") continue;
    if (Array.isArray(v)) for (const one of v) p.append(k, one);
    else p.append(k, String(v));
  }
  const q = p.toString();
  return q ? `${path}?${q}` : path;
}

export function headers(extra?: Record<string, string>): Record<string, string> {
  const tenant = settings.get().tenant;
  return { Accept: "application/json", ...(tenant ? { "X-Scope-OrgID": tenant } : {}), ...extra };
}

/** The longest error text we keep: a page of HTML from a proxy is no message. */
const maxMessage = 600;

async function messageOf(res: Response): Promise<string> {
  const text = (await res.text().catch(() => "")).trim();
  try {
    const j: unknown = JSON.parse(text);
    if (typeof j === "string") return j.slice(0, maxMessage);
    if (j && typeof j === "object") {
      const o = j as Record<string, unknown>;
      for (const k of ["error", "message", "reason", "detail"]) {
        const v = o[k];
        if (typeof v === "string" && v) return v.slice(0, maxMessage);
        if (v && typeof v === "object" && typeof (v as { message?: unknown }).message === "string")
          return (v as { message: string }).message.slice(0, maxMessage);
      }
    }
  } catch {
    // Loki and Tempo answer errors as plain text.
  }
  if (!text || /^\s*</.test(text)) return `${res.status} ${res.statusText || "error"}`;
  return text.slice(0, maxMessage);
}

async function send(path: string, init: RequestInit): Promise<Response> {
  let res: Response;
  try {
    res = await fetch(path, { credentials: "same-origin", ...init });
  } catch (e) {
    if (e instanceof DOMException && e.name === "AbortError") throw e;
    throw new ApiError("The server cannot be reached. Is it running, and is the network up?", 0, path);
  }
  if (res.ok) return res;
  const retry = Number(res.headers.get("Retry-After"));
  throw new ApiError(await messageOf(res), res.status, path, retry > 0 ? retry : undefined);
}

async function json<T>(res: Response, path: string): Promise<T> {
  const text = await res.text();
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ApiError("The answer is no JSON: a proxy in between may have answered instead.", res.status, path);
  }
}

export async function getJSON<T>(
  path: string,
  params?: Params,
  signal?: AbortSignal,
  extra?: Record<string, string>,
): Promise<T> {
  const url = withParams(path, params);
  return json<T>(await send(url, { headers: headers(extra), signal: signal ?? null }), url);
}

/** POST as a form: long queries do not fit every proxy's URL limit. */
export async function postForm<T>(path: string, params: Params, signal?: AbortSignal): Promise<T> {
  const body = withParams("", params).slice(1);
  const h = headers({ "Content-Type": "application/x-www-form-urlencoded" });
  return json<T>(await send(path, { method: "POST", headers: h, body, signal: signal ?? null }), path);
}

export async function sendJSON<T>(
  method: "POST" | "PUT" | "DELETE",
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<T> {
  const h = headers(body === undefined ? undefined : { "Content-Type": "application/json" });
  const res = await send(path, {
    method,
    headers: h,
    body: body === undefined ? null : JSON.stringify(body),
    signal: signal ?? null,
  });
  const text = await res.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

/** Newline-delimited JSON, line by line as it arrives. */
export async function* readLines<T>(path: string, params?: Params, signal?: AbortSignal): AsyncGenerator<T> {
  const url = withParams(path, params);
  const res = await send(url, { headers: headers(), signal: signal ?? null });
  const reader = res.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    rest += value ?? "";
    const lines = rest.split("\n");
    rest = done ? "" : (lines.pop() ?? "");
    for (const l of lines) if (l.trim()) yield JSON.parse(l) as T;
    if (done) return;
  }
}

/** The same call for a shell: what "copy as API call" puts on the clipboard. */
export function asCurl(path: string, params?: Params, origin = window.location.origin): string {
  const quote = (s: string) => `'${s.replaceAll("'", `'\\''`)}'`;
  const tenant = settings.get().tenant;
  const parts = [`curl -G ${quote(origin + path)}`];
  if (tenant) parts.push(`-H ${quote(`X-Scope-OrgID: ${tenant}`)}`);
  for (const [k, v] of Object.entries(params ?? {})) {
    if (v === undefined || v === "") continue;
    for (const one of Array.isArray(v) ? v : [v]) parts.push(`--data-urlencode ${quote(`${k}=${String(one)}`)}`);
  }
  return parts.join(" \\\n  ");
}
