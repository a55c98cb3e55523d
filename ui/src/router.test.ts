import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { pages } from "./router";

test("the server answers the page for exactly the routes of the program", () => {
  const go = readFileSync("handler.go", "utf8");
  const list = /appRoutes = \[\]string\{([^}]*)\}/.exec(go)![1]!;
  const server = [...list.matchAll(/"([^"]+)"/g)].map((m) => m[1]).sort();
  const mine = [
    ...new Set(pages.map((p) => (p.options as { path: string }).path.split("/")[1]).filter(Boolean)),
  ].sort();
  expect(mine).toEqual(server);
});
