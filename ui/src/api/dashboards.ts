/** Where dashboards are kept: on the server; in this browser when the server has no place for them. */
import type { Dashboard } from "@/lib/dashboards";
import { readStored, writeStored } from "@/lib/settings";
import { ApiError, getJSON, sendJSON } from "./http";

const base = "/api/braid/v1/dashboards";
const key = "braid.dashboards";

export interface Entry {
  id: string;
  title: string;
  updatedMs?: number;
}

export interface Listing {
  dashboards: Entry[];
  /** "browser" when the server answers that it keeps none. */
  kept: "server" | "browser";
}

const absent = (e: unknown) => e instanceof ApiError && (e.status === 404 || e.status === 405 || e.status === 501);
const local = () => readStored<Record<string, Dashboard>>(key, {});

export async function listDashboards(signal?: AbortSignal): Promise<Listing> {
  try {
    const a = await getJSON<{ dashboards?: Entry[] }>(base, undefined, signal);
    return { dashboards: a.dashboards ?? [], kept: "server" };
  } catch (e) {
    if (!absent(e)) throw e;
    return { dashboards: Object.values(local()).map(({ id, title }) => ({ id, title })), kept: "browser" };
  }
}

/** A stored document may be old or made by hand: what is missing is empty. */
function complete(d: Partial<Dashboard>, id: string): Dashboard {
  return { ...d, id, title: d.title ?? "Untitled", panels: d.panels ?? [], variables: d.variables ?? [] };
}

export async function loadDashboard(id: string, signal?: AbortSignal): Promise<Dashboard> {
  const mine = local()[id];
  try {
    const a = await getJSON<{ document?: string | Partial<Dashboard> } & Partial<Dashboard>>(
      `${base}/${encodeURIComponent(id)}`,
      undefined,
      signal,
    );
    const doc = typeof a.document === "string" ? (JSON.parse(a.document) as Partial<Dashboard>) : (a.document ?? a);
    return complete(doc, id);
  } catch (e) {
    if (absent(e) && mine) return complete(mine, id);
    throw e;
  }
}

export async function saveDashboard(d: Dashboard): Promise<"server" | "browser"> {
  try {
    await sendJSON("PUT", `${base}/${encodeURIComponent(d.id)}`, {
      id: d.id,
      title: d.title,
      document: JSON.stringify(d),
    });
    return "server";
  } catch (e) {
    if (!absent(e)) throw e;
    writeStored(key, { ...local(), [d.id]: d });
    return "browser";
  }
}

export async function deleteDashboard(id: string): Promise<void> {
  const { [id]: _, ...rest } = local();
  writeStored(key, rest);
  try {
    await sendJSON("DELETE", `${base}/${encodeURIComponent(id)}`);
  } catch (e) {
    if (!absent(e)) throw e;
  }
}

/** A readable id that no other dashboard has. */
export function freshId(title: string): string {
  const slug = title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 40);
  return `${slug || "dashboard"}-${Math.random().toString(36).slice(2, 7)}`;
}
