/** LogQL and TraceQL for the editor: Lezer grammars and what their nodes mean. */
import { LanguageSupport, LRLanguage } from "@codemirror/language";
import { styleTags, tags as t } from "@lezer/highlight";
import { parser as logqlParser } from "./logql.parser";
import { parser as traceqlParser } from "./traceql.parser";

const data = { commentTokens: { line: "#" }, closeBrackets: { brackets: ["(", "[", "{", '"', "`"] } };

export const logqlLanguage = LRLanguage.define({
  name: "logql",
  parser: logqlParser.configure({
    props: [
      styleTags({
        Comment: t.lineComment,
        String: t.string,
        Number: t.number,
        "FunctionName/Identifier Conversion/Identifier": t.function(t.variableName),
        "LabelName/Identifier FilterName/Identifier": t.labelName,
        "LabelName/String FilterName/String": t.labelName,
        "json logfmt regexp pattern unpack line_format label_format keep drop distinct unwrap decolorize ip": t.keyword,
        "by without on ignoring group_left group_right bool offset": t.modifier,
        "and or unless": t.operatorKeyword,
        "LineOp MatchOp NotOp CompareOp ArithOp Stage/|": t.operator,
        Flag: t.modifier,
        "( ) [ ] { } ,": t.punctuation,
        "⚠": t.invalid,
      }),
    ],
  }),
  languageData: data,
});

export const traceqlLanguage = LRLanguage.define({
  name: "traceql",
  parser: traceqlParser.configure({
    props: [
      styleTags({
        Comment: t.lineComment,
        String: t.string,
        Number: t.number,
        "FunctionName/Identifier FunctionName/Intrinsic": t.function(t.variableName),
        Attribute: t.labelName,
        "Intrinsic ScopedIntrinsic": t.special(t.variableName),
        Constant: t.bool,
        "by with": t.modifier,
        "Hint/Identifier": t.propertyName,
        "Operator Not Minus Pipe": t.operator,
        "( ) [ ] { } ,": t.punctuation,
        "⚠": t.invalid,
      }),
    ],
  }),
  languageData: data,
});

export const supportFor = (language: "logql" | "traceql") =>
  new LanguageSupport(language === "logql" ? logqlLanguage : traceqlLanguage);
