/** Links of Prometheus (/graph?g0.expr=…), as alerts carry them, open here. */
import { useEffect } from "react";
import { useRouter } from "@tanstack/react-router";
import { parseSpan } from "@/lib/time";
import { href, useParams } from "@/shell/url";

export default function GraphRedirect() {
  const [params] = useParams();
  const router = useRouter();
  useEffect(() => {
    const end = params["g0.end_input"] ?? params["g0.moment_input"];
    const span = parseSpan(params["g0.range_input"] ?? "1h") ?? 3_600_000;
    const endMs = end ? Date.parse(`${end.replace(" ", "T")}Z`) : Number.NaN;
    const range = Number.isNaN(endMs)
      ? { from: `now-${Math.round(span / 1000)}s`, to: "now" }
      : { from: String(endMs - span), to: String(endMs) };
    router.history.replace(href("/explore/metrics", { q: params["g0.expr"], q2: params["g1.expr"], ...range }));
  }, [params, router]);
  return null;
}
