import { expect, test } from "vitest";
import { distinguishing, freeColor, paletteSize, serviceColor } from "./series";

test("the first services of a browser all differ, the ninth repeats one", () => {
  const worn: number[] = [];
  for (const n of ["frontend", "checkout", "payment", "cart", "catalog", "shipping", "recommendation", "notification"])
    worn.push(freeColor(n, worn));
  expect(new Set(worn).size).toBe(paletteSize);
  expect(freeColor("ninth", worn)).toBeLessThan(paletteSize);
});

test("a service keeps its colour whatever comes after it", () => {
  const before = serviceColor("checkout");
  for (let i = 0; i < 50; i++) serviceColor(`other-${i}`);
  expect(serviceColor("checkout")).toBe(before);
});

test("distinguishing labels", () => {
  expect(
    distinguishing([
      { a: "1", b: "x" },
      { a: "2", b: "x" },
    ]),
  ).toEqual(["a"]);
});
