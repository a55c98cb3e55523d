import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const parts = new URL("../../parts/", import.meta.url);
/** The editor that stands behind parts/editor. */
const inner = ["codemirror"];

test("the page shows every shared part", () => {
  const page = readFileSync(new URL("./design.tsx", import.meta.url), "utf8");
  const names = readdirSync(parts)
    .filter((f) => f.endsWith(".tsx"))
    .map((f) => f.replace(/\.tsx$/, ""))
    .filter((f) => !inner.includes(f));
  expect(names.filter((n) => !page.includes(`"@/parts/${n}"`))).toEqual([]);
});
