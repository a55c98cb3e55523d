import { expect, test } from "vitest";
import { asCurl } from "@/api/http";
import { toCSV, toNDJSON } from "./export";
import { distinguishing, seriesName, serviceColor, shortName } from "./series";

test("CSV quotes and disarms formulas", () => {
  expect(
    toCSV(
      ["a", "b"],
      [
        ['x "y"', "1,2"],
        ["=cmd()", -5],
        ["-1.5", null],
      ],
    ),
  ).toBe('a,b\r\n"x ""y""","1,2"\r\n\'=cmd(),-5\r\n-1.5,\r\n');
});

test("NDJSON is one value a line", () => expect(toNDJSON([{ a: "x\ny" }, 1])).toBe('{"a":"x\\ny"}\n1\n'));

test("curl survives a shell", () => {
  expect(asCurl("/api/v1/query", { query: `{a='b'}`, n: undefined, "match[]": ["x", "y"] }, "http://h")).toBe(
    `curl -G 'http://h/api/v1/query' \\\n  --data-urlencode 'query={a='\\''b'\\''}' \\\n  --data-urlencode 'match[]=x' \\\n  --data-urlencode 'match[]=y'`,
  );
});

test("series are named by what sets them apart", () => {
  const all = [
    { __name__: "up", job: "a", env: "p" },
    { __name__: "up", job: "b", env: "p" },
  ];
  expect(distinguishing(all)).toEqual(["job"]);
  expect(shortName(all[0]!, ["job"])).toBe("a");
  expect(seriesName(all[0]!)).toBe('up{job="a", env="p"}');
  expect(seriesName(all[0]!, "{{job}} in {{ env }}")).toBe("a in p");
  expect(serviceColor("cart")).toBe(serviceColor("cart"));
});
