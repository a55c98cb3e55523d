/** Colours for LogQL and TraceQL: token by token, forgiving while a query is half written. */
import type { StreamParser, StringStream } from "@codemirror/language";

interface Words {
  keywords: ReadonlySet<string>;
  functions: ReadonlySet<string>;
}

const set = (words: string) => new Set(words.split(" "));

const logql: Words = {
  keywords: set(
    "by without on ignoring group_left group_right bool offset and or unless unwrap json logfmt regexp pattern unpack line_format label_format decolorize drop keep distinct ip",
  ),
  functions: set(
    "sum avg min max count stddev stdvar topk bottomk sort sort_desc rate rate_counter count_over_time bytes_rate bytes_over_time sum_over_time avg_over_time max_over_time min_over_time quantile_over_time stddev_over_time stdvar_over_time first_over_time last_over_time absent_over_time label_replace vector duration duration_seconds bytes approx_topk",
  ),
};

const traceql: Words = {
  keywords: set("true false nil error ok unset server client producer consumer internal unspecified with by"),
  functions: set(
    "count avg max min sum select coalesce rate count_over_time avg_over_time min_over_time max_over_time sum_over_time quantile_over_time histogram_over_time compare topk bottomk",
  ),
};

function token(s: StringStream, words: Words): string | null {
  if (s.eatSpace()) return null;
  if (s.match(/^#.*/)) return "comment";
  if (s.match(/^"(?:[^"\\]|\\.)*("|$)/) || s.match(/^`[^`]*(`|$)/)) return "string";
  if (s.match(/^-?\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d|w|y|[kKMGT]i?B|B)?(?:\d+(?:ns|us|ms|s|m|h|d))*/)) return "number";
  const word = s.match(/^[A-Za-z_][\w.:-]*/) as RegExpMatchArray | null;
  if (word) {
    const w = word[0];
    if (/^\s*\(/.test(s.string.slice(s.pos)) && words.functions.has(w)) return "variableName.function";
    if (words.keywords.has(w)) return "keyword";
    return "propertyName";
  }
  if (s.match(/^\.[\w.:-]+/)) return "propertyName";
  if (s.match(/^(\|=|\|~|\|>|!=|!~|!>|=~|==|>=|<=|&&|\|\||&>>|!>>|>>|<<|[=<>~|!+\-*/%^&])/)) return "operator";
  s.next();
  return "punctuation";
}

export const logqlMode: StreamParser<unknown> = { name: "logql", token: (s) => token(s, logql) };
export const traceqlMode: StreamParser<unknown> = { name: "traceql", token: (s) => token(s, traceql) };
