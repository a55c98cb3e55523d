import { expect, test } from "vitest";
import { isOwnPath } from "./kept";

test.each([
  ["/explore/logs?q=1", true],
  ["/", true],
  ["//elsewhere.example/x", false],
  ["/\\elsewhere.example", false],
  ["https://elsewhere.example", false],
  ["javascript:alert(1)", false],
  ["/x\r\ny", false],
  ["", false],
])("%s is a place of the program: %s", (path, yes) => expect(isOwnPath(path)).toBe(yes));
