import type { TimeRange } from "@grafana/data";

/** What Braid knows of a metric. */
export interface Metadata {
  type: string;
  help: string;
  unit: string;
}

type Get = <T>(path: string, params: Record<string, string>) => Promise<T>;

// Long enough for one session of typing, short enough that a new label is
// offered soon.
const keepMs = 60_000;
const most = 200;

/**
 * The lists behind autocomplete, builders and variables, each asked once a
 * minute at most. A list that cannot be had is empty: editors must work while
 * Braid does not answer; `lastError` says why.
 */
export class Resources {
  private readonly cache = new Map<string, { at: number; answer: Promise<unknown> }>();
  lastError?: string;

  constructor(
    private readonly get: Get,
    private readonly now: () => number = Date.now,
  ) {}

  services(): Promise<string[]> {
    return this.list("services");
  }

  metrics(match?: string): Promise<string[]> {
    return match ? this.list("labels/__name__/values", { "match[]": match, limit: "5000" }) : this.list("metrics");
  }

  async metadata(metric: string): Promise<Metadata | undefined> {
    const all = await this.ask<Record<string, Metadata>>("metadata", { metric }, {});
    return all[metric];
  }

  labels(match?: string, range?: TimeRange): Promise<string[]> {
    return this.list("labels", { ...(match ? { "match[]": match } : {}), ...seconds(range) });
  }

  labelValues(label: string, match?: string, range?: TimeRange): Promise<string[]> {
    return this.list(`labels/${encodeURIComponent(label)}/values`, {
      ...(match ? { "match[]": match } : {}),
      limit: "5000",
      ...seconds(range),
    });
  }

  logLabels(range?: TimeRange): Promise<string[]> {
    return this.list("logs/labels", nanos(range));
  }

  logLabelValues(label: string, query?: string, range?: TimeRange): Promise<string[]> {
    return this.list(`logs/labels/${encodeURIComponent(label)}/values`, {
      ...(query ? { query } : {}),
      ...nanos(range),
    });
  }

  tags(): Promise<string[]> {
    return this.list("traces/tags");
  }

  tagValues(tag: string): Promise<string[]> {
    return this.list(`traces/tags/${encodeURIComponent(tag)}/values`);
  }

  private list(path: string, params: Record<string, string> = {}): Promise<string[]> {
    return this.ask<string[]>(path, params, []);
  }

  private ask<T>(path: string, params: Record<string, string>, otherwise: T): Promise<T> {
    const key = `${path}?${new URLSearchParams(params)}`;
    const known = this.cache.get(key);
    if (known && this.now() - known.at < keepMs) {
      return known.answer as Promise<T>;
    }
    const answer = this.get<T>(path, params).then(
      (a) => {
        this.lastError = undefined;
        return a;
      },
      (e: unknown) => {
        this.cache.delete(key);
        this.lastError = messageOf(e);
        return otherwise;
      },
    );
    if (this.cache.size >= most) {
      const oldest = this.cache.keys().next().value;
      if (oldest !== undefined) {
        this.cache.delete(oldest);
      }
    }
    this.cache.set(key, { at: this.now(), answer });
    return answer;
  }
}

// To the minute, so that a range that moves with the clock stays one question.
const minute = (ms: number, round: (n: number) => number) => round(ms / 60_000) * 60;

function seconds(range?: TimeRange): Record<string, string> {
  return range
    ? { start: String(minute(range.from.valueOf(), Math.floor)), end: String(minute(range.to.valueOf(), Math.ceil)) }
    : {};
}

function nanos(range?: TimeRange): Record<string, string> {
  const s = seconds(range);
  return s.start === undefined ? {} : { start: `${s.start}000000000`, end: `${s.end}000000000` };
}

/** The words of an error as Grafana's backend service throws it. */
export function messageOf(e: unknown): string {
  const shaped = e as { data?: { message?: string }; message?: string; statusText?: string } | undefined;
  return shaped?.data?.message || shaped?.message || shaped?.statusText || String(e);
}
