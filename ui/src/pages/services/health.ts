/** One rule for the colour of failures, on every page. */
export type Healthy = "ok" | "warn" | "error";

/** More than 5 % of requests failed, more than 0.5 %, or fewer. */
export function healthOf(share: number | undefined): Healthy {
  const e = share ?? 0;
  return e > 0.05 ? "error" : e > 0.005 ? "warn" : "ok";
}

/** The class of a share of failures written as text. */
export const healthText = (share: number | undefined) =>
  ({ ok: "", warn: "t-warn", error: "t-error" })[healthOf(share)];
