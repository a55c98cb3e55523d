/** What Braid holds and what it is made of: the cardinality explorer, the data folder. */
import { getJSON } from "./http";

export interface Growth {
  series: number;
  before: number;
  new: number;
}

export interface Cardinality extends Growth {
  /** Unix seconds. */
  start: number;
  end: number;
  gone: number;
  metrics: ({ name: string; type?: string } & Growth)[];
  labels: { name: string; values: number; series: number; bytes: number }[];
  values: { label: string; value: string; series: number }[];
  senders: ({ job: string; instances: number } & Growth)[];
  label_values?: ({ value: string } & Growth)[];
  truncated?: boolean;
  warnings?: string[];
}

export async function cardinality(
  q: { match?: string | undefined; windowSeconds: number; endMs: number; limit: number; label?: string | undefined },
  signal?: AbortSignal,
): Promise<Cardinality> {
  const p = {
    "match[]": q.match ? [q.match] : undefined,
    window: `${Math.max(60, Math.round(q.windowSeconds))}s`,
    end: (q.endMs / 1000).toFixed(3),
    limit: q.limit,
    label: q.label,
  };
  const d = (await getJSON<{ data: Partial<Cardinality> }>("/api/braid/v1/cardinality", p, signal)).data;
  return {
    start: 0,
    end: 0,
    series: 0,
    before: 0,
    new: 0,
    gone: 0,
    ...d,
    metrics: d.metrics ?? [],
    labels: d.labels ?? [],
    values: d.values ?? [],
    senders: d.senders ?? [],
  };
}

export interface StoragePart {
  part: string;
  tenant?: string;
  bytes: number;
  files: number;
}

export const storage = async (signal?: AbortSignal): Promise<StoragePart[]> =>
  (await getJSON<{ parts?: StoragePart[] }>("/api/braid/v1/storage", undefined, signal)).parts ?? [];
