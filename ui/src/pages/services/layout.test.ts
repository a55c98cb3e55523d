import { expect, test } from "vitest";
import { layoutMap } from "./layout";

const edges = (text: string) => text.split(" ").map((e) => ({ from: e.split(">")[0]!, to: e.split(">")[1]! }));
const columns = (names: string, list: string) => {
  const m = layoutMap(names.split(""), edges(list));
  return Object.fromEntries([...m.placed.values()].map((p) => [p.name, p.column]));
};

test("callers stand left of whom they call", () => {
  expect(columns("abcd", "a>b b>c a>c c>d")).toEqual({ a: 0, b: 1, c: 2, d: 3 });
});

test("circles and calls to oneself end", () => {
  expect(columns("abc", "a>b b>c c>a b>b")).toEqual({ a: 0, b: 1, c: 2 });
});

test("services that nobody calls and that call nobody are there", () => {
  const m = layoutMap(["x", "y"], []);
  expect([...m.placed.keys()]).toEqual(["x", "y"]);
  expect(m.rows).toBe(2);
});

test("a long chain does not overflow the stack", () => {
  const names = Array.from({ length: 20_000 }, (_, i) => `s${i}`);
  const m = layoutMap(
    names,
    names.slice(1).map((n, i) => ({ from: names[i]!, to: n })),
  );
  expect(m.columns).toBe(20_000);
});
