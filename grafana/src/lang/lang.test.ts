import { explainFederated, parseFederated, renderFederated } from "./federated";
import { lex } from "./lexer";
import { explainLogQL, isLines, linesOf, parseLogQL, renderLogQL, volumeOf } from "./logql";
import { explainPromQL, parsePromQL, renderPromQL } from "./promql";
import { explainTraceQL, isSpanMetric, parseTraceQL, renderTraceQL } from "./traceql";

/** Texts that come back as they were, from text to model to text. */
const same = {
  promql: [
    "up",
    '{__name__=~"http.+"}',
    'http_requests_total{job="api", code!="200"}',
    'http_requests_total{"service.name"="checkout"}',
    "rate(http_requests_total[$__rate_interval])",
    'sum by (service_name, http_route) (rate(http_requests_total{code=~"5.."}[5m]))',
    "sum without (instance) (increase(x_total[1h]))",
    "histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket[1m])))",
    "topk(5, sum(rate(a[5m])))",
    "topk by (job) (3, up)",
    "quantile_over_time(0.5, x[10m])",
    "clamp_min(x, 0)",
    "round(x, 0.5)",
    "absent(up)",
    "rate(x[5m]) * 100",
    "(rate(x[5m]) * 100) > 5",
    '$metric{job="$job"}',
    "x - 1",
    "x > -1",
    "max(x)",
    'x{path="a\\\\b\\"c"}',
  ],
  logql: [
    '{service_name="checkout"}',
    '{service_name=~"a|b", level!="debug"} |= `timeout` != `health`',
    '{a="b"} |~ `e.*` !~ `f`',
    '{a="b"} | json | detected_level="error" | duration>100ms',
    '{a="b"} | logfmt | status>=500',
    '{a="b"} | pattern `<ip> <_>`',
    '{a="b"} | json | line_format "{{.msg}} {{.x}}" | drop x, y',
    '{a="b"} |= "has ` in it"',
    'sum by (service_name) (count_over_time({a="b"} |= `x` [$__auto]))',
    'rate({a="b"} [5m])',
    'sum (bytes_rate({a="b"} [1m]))'.replace("sum (", "sum("),
    'quantile_over_time(0.99, {a="b"} | json | unwrap took [5m])',
    'avg by (route) (avg_over_time({a="b"} | unwrap took [5m]))',
  ],
  traceql: [
    "{}",
    "{status=error}",
    '{resource.service.name="checkout" && duration>500ms}',
    '{name=~"GET.*" && kind=server && span.http.status_code>=500}',
    '{span.http.status_code="200"}',
    '{span."odd name"="x"}',
    '{trace:id="0af7"}',
    "{span.delta=-1}",
    "{kind=server} | rate()",
    "{kind=server} | rate() by(resource.service.name, name)",
    "{} | quantile_over_time(duration, .5, .99) by(name)",
    "{} | histogram_over_time(duration)",
  ],
  federated: [
    "slow = traces { duration > 1s }\nfrom slow",
    'slow   = traces { resource.service.name="checkout" && duration > 1s }\nfailed = logs {service_name="payment"} |= "declined"\nfrom slow\nsemi join failed on trace\nenrich user = slow.user.id, error = failed.body\nwhere duration > 1s and error contains "card"\n| group by user | count, worst = max(duration)\n| top 10 by count',
    'a = logs {x="y"}\nfrom a by user\nlimit 5',
  ],
};

const read = (shown: { model?: unknown; reason?: string }) => {
  expect(shown.reason).toBeUndefined();
  return shown.model as never;
};

describe("builders show a text and write it back", () => {
  test.each(same.promql)("PromQL %s", (text) => expect(renderPromQL(read(parsePromQL(text)))).toBe(text));
  test.each(same.logql)("LogQL %s", (text) => expect(renderLogQL(read(parseLogQL(text)))).toBe(text));
  test.each(same.traceql)("TraceQL %s", (text) => expect(renderTraceQL(read(parseTraceQL(text)))).toBe(text));
  test.each(same.federated)("across signals %#", (text) =>
    expect(renderFederated(read(parseFederated(text)))).toBe(text),
  );
});

test.each([
  ["promql", "sum ( rate( x [ 5m ] ) ) by (job)", "sum by (job) (rate(x[5m]))"],
  ["promql", "x{a='b',}", 'x{a="b"}'],
  ["logql", '{a="b"}|="x"|json', '{a="b"} |= `x` | json'],
  ["logql", 'sum(rate({a="b"}[5m])) by (c)', 'sum by (c) (rate({a="b"} [5m]))'],
  ["traceql", "{ status = error && .foo = 3 } | rate() by (name)", "{status=error && .foo=3} | rate() by(name)"],
] as const)("%s %s is written in one way", (language, text, canonical) => {
  const render = {
    promql: () => renderPromQL(read(parsePromQL(text))),
    logql: () => renderLogQL(read(parseLogQL(text))),
    traceql: () => renderTraceQL(read(parseTraceQL(text))),
  };
  expect(render[language]()).toBe(canonical);
});

describe("what a builder cannot show stays code, with the reason", () => {
  test.each([
    ["a + b", "two series combined"],
    ["rate(x[5m:1m])", "expected ]"],
    ["max_over_time(rate(x[5m])[1h:])", "expected ]"],
    ["label_replace(x, 'a', 'b', 'c', 'd')", "label_replace"],
    ["x offset 5m", "offset"],
    ["sum(", "ends too early"],
    ["x{a=b}", "b is more"],
    ["a * 2 + 1", "several operators"],
    ["x[5m] )", ""],
  ])("PromQL %s", (text, reason) => expect(parsePromQL(text).reason).toContain(reason));
  test.each([
    ['{a="b"} | x="1" or y="2"', "joined by and, or"],
    ['sum(rate({a="b"}[5m])) / 2', "/"],
    ['{a="b"} | json first="x"', "arguments of json"],
    ["{a=", "ends too early"],
    ['topk(3, rate({a="b"}[5m]))', "topk"],
  ])("LogQL %s", (text, reason) => expect(parseLogQL(text).reason).toContain(reason));
  test.each([
    ["{a=1 || b=2}", "||"],
    ["{a=1} >> {b=2}", ">>"],
    ["{a=1} | select(name)", "select"],
    ["{", "ends too early"],
    ["{name=~}", "no value"],
  ])("TraceQL %s", (text, reason) => expect(parseTraceQL(text).reason).toContain(reason));
  test.each([
    ["hello", "hello"],
    ["# note\na = traces { }\nfrom a", "comments"],
    ["a = traces { }", "no `from`"],
  ])("across signals %s", (text, reason) => expect(parseFederated(text).reason).toContain(reason));
});

test("tokens cover a text, and never overlap, whatever it is", () => {
  // A small generator with a fixed seed: texts of the languages' own pieces.
  let seed = 7;
  const random = (n: number) => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return seed % n;
  };
  const pieces = [
    "rate",
    "(",
    ")",
    "{",
    "}",
    "[5m]",
    '"a\\"b"',
    "`",
    "'",
    "=~",
    "|=",
    "|",
    " ",
    "\n",
    "# c\n",
    "$__x",
    "${a:b}",
    "0.5",
    "é",
    "\\",
    ".x-y",
    "span.a",
    "&&",
    ",",
  ];
  for (let i = 0; i < 2000; i++) {
    const text = Array.from({ length: random(12) }, () => pieces[random(pieces.length)]).join("");
    let end = 0;
    for (const t of lex(text)) {
      expect(t.start).toBeGreaterThanOrEqual(end);
      expect(t.end).toBeGreaterThan(t.start);
      expect(text.slice(t.start, t.end)).toBe(t.text);
      end = t.end;
    }
    for (const parse of [parsePromQL, parseLogQL, parseTraceQL, parseFederated]) {
      const shown = parse(text);
      expect(shown.model === undefined ? typeof shown.reason : "model").not.toBe("undefined");
    }
  }
});

test("explanations say each step", () => {
  expect(explainPromQL(read(parsePromQL('sum by (job) (rate(x{a!="b"}[5m])) > 3')))).toEqual([
    "Take the series x where a is not b.",
    "rate: how fast a counter grows, a second, over 5m before each point.",
    "sum: adds up, one result for each job.",
    "Keep values > 3.",
  ]);
  expect(explainLogQL(read(parseLogQL('sum by (x) (rate({a="b"} |= `c` | json | d>5 [1m]))')))).toEqual([
    "Take the log lines where a is b.",
    "Keep lines in which the text contains c.",
    "json: reads JSON into labels.",
    "Keep lines where d is over 5.",
    "rate: how many lines a second, over 1m before each point.",
    "sum: add up, one result for each x.",
  ]);
  expect(explainTraceQL(read(parseTraceQL("{duration>1s} | rate() by(name)")))).toEqual([
    "Take the spans where duration is over 1s.",
    "rate: how many spans a second in each step, one series for each name.",
  ]);
  expect(
    explainFederated(
      read(parseFederated('a = traces { }\nb = logs {x="y"}\nfrom a anti join b on request\n| top 3 by time')),
    ),
  ).toEqual([
    "Ask traces for { }, and call it a.",
    'Ask logs for {x="y"}, and call it b.',
    "Make a row for each request id in a.",
    "Keep rows whose request id is not in b.",
    "Then: top 3 by time.",
  ]);
});

test("lines and series are told apart", () => {
  expect(isLines('{a="b"} | json')).toBe(true);
  expect(isLines('rate({a="b"}[1m])')).toBe(false);
  expect(linesOf('sum(rate({a="b"} |= `c` [1m]))')).toBe('{a="b"} |= `c`');
  expect(linesOf('sum(rate({a="b"} [1m])) / 2')).toBe("");
  expect(volumeOf('{a="b"}')).toBe('sum by (detected_level) (count_over_time({a="b"} [$__auto]))');
  expect(volumeOf('rate({a="b"}[1m])')).toBeUndefined();
  expect(isSpanMetric("{} | rate()")).toBe(true);
  expect(isSpanMetric("{} | select(name)")).toBe(false);
});
