import { expect, test } from "vitest";
import { mistakeOf } from "./check";

test("the place of a mistake", () => {
  expect(mistakeOf("parse error at line 1, col 12: expected a text in quotes", '{a="b"} |= ')).toEqual({
    from: 10,
    to: 11,
    message: "expected a text in quotes",
  });
  expect(
    mistakeOf('parse error at line 1, column 3: expected an attribute, found "statu"', "{ statu = error }"),
  ).toMatchObject({ from: 2, to: 7 });
  expect(mistakeOf("line 2, col 1: bad", "a\nbcd e")).toMatchObject({ from: 2, to: 5 });
  expect(mistakeOf('invalid parameter "query": 1:7: parse error: unclosed left parenthesis', "sum(up")).toMatchObject({
    from: 5,
    to: 6,
    message: "unclosed left parenthesis",
  });
  expect(mistakeOf("the query ran too long", "x")).toBeUndefined();
});
