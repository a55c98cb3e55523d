import { describe, expect, test } from "vitest";
import { findIds, intents } from "./ids";

const T = "4bf92f3577b34da6a3ce929d0e0e4736";

describe("findIds", () => {
  test.each<[string, string, string]>([
    ["a bare trace id", T, T],
    ["upper case", T.toUpperCase(), T.toUpperCase()],
    ["traceparent", `traceparent: 00-${T}-00f067aa0ba902b7-01`, T],
    ["X-Ray", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1", "1-5759e988-bd862e3fe1be46a994272793"],
    ["Google", `projects/my-p/traces/${T}`, T],
    ["logfmt", `level=error msg="boom" trace_id=${T} n=1`, T],
    ["JSON", `{"msg":"boom","requestId":"req-8812"}`, "req-8812"],
    ["a Jaeger URL", `https://jaeger.example/trace/${T}?x=1`, T],
    ["our own URL", "https://o11y.example/request/order-4711?from=now-1h", "order-4711"],
    ["UUID", "3F2504E0-4F89-11D3-9A0C-0305E82C3301", "3F2504E0-4F89-11D3-9A0C-0305E82C3301"],
    ["Datadog decimal", "5208512171318403364", "5208512171318403364"],
    ["base64", "S/kvNXezTaajzpKdDg5HNg==", "S/kvNXezTaajzpKdDg5HNg=="],
    ["an order", "ord-1234", "ord-1234"],
    ["a stack trace", `java.lang.Boom: at x\n  at com.a.B(B.java:12)\n  correlation_id: "c-99-a"\n`, "c-99-a"],
  ])("%s", (_name, text, want) => {
    expect(findIds(text)[0]?.id).toBe(want);
  });

  test("words are no ids", () => {
    for (const t of [
      "checkout",
      "connection refused",
      "payment failed for all",
      "http_requests_total",
      "00000000000000000000000000000000",
    ])
      expect(findIds(t)).toEqual([]);
  });

  test("huge text is bounded", () => {
    expect(findIds(`${"x ".repeat(2_000_000)}`)).toEqual([]);
  });
});

describe("intents", () => {
  const services = ["checkout", "cart", "frontend"];
  test.each<[string, string]>([
    ["checkout", "service"],
    [T, "id"],
    ['{service_name="a"} |= "x"', "logql"],
    ["{ duration > 1s && status = error }", "traceql"],
    ["sum by (job) (rate(x[5m]))", "promql"],
    ["connection refused", "text"],
  ])("%s -> %s", (text, kind) => {
    expect(intents(text, services)[0]?.kind).toBe(kind);
  });
  test("nothing for nothing", () => expect(intents("  ", services)).toEqual([]));
});
