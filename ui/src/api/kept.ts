/** What people keep on the server: saved views, notes on charts, short links. Dashboards have a file of their own. */
import { getJSON, sendJSON } from "./http";

const base = "/api/braid/v1";

interface Kept {
  id: string;
  title: string;
  updatedMs?: number;
  document?: string;
}

/** A page with all of its state, by a name. */
export interface View {
  id: string;
  title: string;
  /** Path and search of the program. */
  path: string;
  query: string;
  updatedMs: number;
}

/** A sentence about a moment or a span of time, shown on every chart that covers it. */
export interface Note {
  id: string;
  text: string;
  fromMs: number;
  toMs?: number;
}

function read<T>(k: Kept): Partial<T> {
  try {
    const doc: unknown = JSON.parse(k.document ?? "{}");
    return doc && typeof doc === "object" ? (doc as Partial<T>) : {};
  } catch {
    return {};
  }
}

const freshId = (prefix: string) => `${prefix}-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;

export async function listViews(signal?: AbortSignal): Promise<View[]> {
  const a = await getJSON<{ views?: Kept[] }>(`${base}/views`, undefined, signal);
  return (a.views ?? []).flatMap((k) => {
    const { path = "", query = "" } = read<View>(k);
    return isOwnPath(path) ? [{ id: k.id, title: k.title, path, query, updatedMs: k.updatedMs ?? 0 }] : [];
  });
}

export const saveView = (title: string, path: string, query: string, id = freshId("v")) =>
  sendJSON<unknown>("PUT", `${base}/views/${id}`, { title, document: JSON.stringify({ path, query }) });

export const deleteView = (id: string) => sendJSON<unknown>("DELETE", `${base}/views/${encodeURIComponent(id)}`);

export async function listNotes(signal?: AbortSignal): Promise<Note[]> {
  const a = await getJSON<{ notes?: Kept[] }>(`${base}/notes`, undefined, signal);
  return (a.notes ?? []).flatMap((k) => {
    const { fromMs, toMs } = read<Note>(k);
    if (typeof fromMs !== "number" || !Number.isFinite(fromMs)) return [];
    return [{ id: k.id, text: k.title, fromMs, ...(typeof toMs === "number" ? { toMs } : {}) }];
  });
}

export const saveNote = (n: Omit<Note, "id">, id = freshId("n")) =>
  sendJSON<unknown>("PUT", `${base}/notes/${id}`, {
    title: n.text,
    document: JSON.stringify({ fromMs: n.fromMs, ...(n.toMs === undefined ? {} : { toMs: n.toMs }) }),
  });

export const deleteNote = (id: string) => sendJSON<unknown>("DELETE", `${base}/notes/${encodeURIComponent(id)}`);

/** Only places of this program: a link made by someone else must not lead away. */
export const isOwnPath = (path: string) => /^\/(?![/\\])/.test(path) && !/[\r\n]/.test(path);

/** The short path of a place of the program. */
export async function shorten(path: string): Promise<string> {
  const a = await sendJSON<{ id: string }>("POST", `${base}/links`, { document: JSON.stringify(path) });
  return `/l/${a.id}`;
}

export async function openLink(id: string, signal?: AbortSignal): Promise<string> {
  const a = await getJSON<Kept>(`${base}/links/${encodeURIComponent(id)}`, undefined, signal);
  const path: unknown = JSON.parse(a.document ?? '""');
  if (typeof path !== "string" || !isOwnPath(path)) throw new Error("This link leads to no page of Braid.");
  return path;
}
