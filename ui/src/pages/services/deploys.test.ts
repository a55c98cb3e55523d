import { expect, test } from "vitest";
import { deploysOf } from "./deploys";

test("a version that appears is a deploy, one that was there is not", () => {
  const s = (version: string, points: [number, number][]) => ({
    labels: { "resource.service.version": version },
    points,
    exemplars: [],
  });
  expect(
    deploysOf(
      [
        s("2", [
          [10, 0],
          [30, 5],
        ]),
        s("1", [
          [10, 5],
          [30, 0],
        ]),
        s("nil", [[30, 1]]),
      ],
      15,
    ),
  ).toEqual([{ ms: 30, label: "2" }]);
});
