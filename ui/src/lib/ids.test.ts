import { describe, expect, test } from "vitest";
import { exceptionOf, findIds, intents, messageOf, pathOf } from "./ids";

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

test.each<[string, string | undefined]>([
  ["https://shop.example/products/12?ref=mail#top", "/products/12"],
  ["http://shop.example", "/"],
  ["POST /checkout", "/checkout"],
  ["/cart", "/cart"],
  ["checkout failed /cart", undefined],
  ["3/4", undefined],
])("path of %s", (text, want) => expect(pathOf(text)).toBe(want));

const java = `Exception in thread "main" java.lang.IllegalStateException: outer
	at com.example.Main.run(Main.java:12)
Caused by: java.net.SocketTimeoutException: Read timed out
	at java.net.SocketInputStream.read(SocketInputStream.java:150)`;
const python = `Traceback (most recent call last):
  File "/app/rank.py", line 12, in rank
    raise ValueError("model returned no candidates")
ValueError: model returned no candidates`;
const node = `TypeError: Cannot read properties of undefined (reading 'id')
    at charge (/app/pay.js:10:5)`;
const go = `panic: runtime error: index out of range [3]

goroutine 1 [running]:
main.main()
	/app/main.go:8 +0x1d`;

test.each<[string, string, string]>([
  [java, "java.net.SocketTimeoutException", "Read timed out"],
  [python, "ValueError", "model returned no candidates"],
  [node, "TypeError", "Cannot read properties of undefined (reading 'id')"],
  [go, "panic", "runtime error: index out of range [3]"],
])("exception of %s", (text, type, message) => {
  expect(exceptionOf(text)).toEqual({ type, message });
  // The search box is a field of one line.
  expect(exceptionOf(text.replace(/\s*\n\s*/g, " ⏎ "))).toEqual({ type, message });
});

test("a sentence is no exception", () => {
  expect(exceptionOf("ValueError: alone on a line")).toBeUndefined();
  expect(exceptionOf("payment failed")).toBeUndefined();
});

test.each<[string, string, number | undefined]>([
  ["2026-11-28 19:27:44.635 debug   recommendation ranked 20 candidates", "ranked 20 candidates", 0],
  ["2026-11-28T19:27:44.635123Z ERROR payment gateway timed out", "payment gateway timed out", 1795894064635],
  ["[2026-11-28 19:27:44,635] error: boom happened here", "boom happened here", 0],
  ["payment gateway timed out", "payment gateway timed out", undefined],
  ["error", "error", undefined],
])("message of %s", (line, want, at) => {
  const m = messageOf(line, ["recommendation", "checkout"]);
  expect(m.text).toBe(want);
  if (at === undefined) expect(m.atMs).toBeUndefined();
  else if (at) expect(m.atMs).toBe(at);
  else expect(m.atMs).toBe(new Date(2026, 10, 28, 19, 27, 44, 635).getTime());
});

test("URLs and stack traces are offered", () => {
  expect(intents("https://shop.example/cart", []).map((i) => i.kind)).toContain("url");
  const kinds = intents(python, []);
  expect(kinds.find((i) => i.kind === "exception")).toEqual({ kind: "exception", type: "ValueError" });
  expect(kinds.find((i) => i.kind === "text")).toEqual({ kind: "text", text: "model returned no candidates" });
});
