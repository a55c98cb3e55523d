import { expect, test } from "vitest";
import { ansi, split } from "./ansi";

test("colours become tokens, other sequences go", () => {
  expect(ansi("a\x1b[31mred\x1b[0m \x1b[1;32mok\x1b[2Kx")).toEqual([
    { text: "a" },
    { text: "red", color: "var(--error)" },
    { text: " " },
    { text: "ok", color: "var(--ok)", bold: true },
    { text: "x", color: "var(--ok)", bold: true },
  ]);
});

test("searched texts are cut out", () => {
  expect(split("a bc a", ["a", "c"])).toEqual([
    { text: "a", hit: true },
    { text: " b", hit: false },
    { text: "c", hit: true },
    { text: " ", hit: false },
    { text: "a", hit: true },
  ]);
  expect(split("abc", [])).toEqual([{ text: "abc", hit: false }]);
});
