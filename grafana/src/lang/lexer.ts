// One lexer for PromQL, LogQL and TraceQL: their words are alike enough that a
// text can be cut into tokens without knowing which of them it is.

export type TokenKind = "word" | "number" | "string" | "op" | "open" | "close" | "comma" | "variable" | "bad";

export interface Token {
  kind: TokenKind;
  text: string;
  start: number;
  end: number;
}

const space = /\s+|#[^\n]*/y;
const rules: ReadonlyArray<readonly [TokenKind, RegExp]> = [
  ["string", /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`/y],
  // Grafana's variables: $name, ${name:format}, [[name]].
  ["variable", /\$\{[^}]*\}|\$\w+|\[\[\w+(?::\w+)?\]\]/y],
  ["number", /(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)(?:[a-zµ]+\d*)*/iy],
  ["op", /&>>|!>>|!<<|>>|<<|!~|=~|==|!=|>=|<=|&&|\|\||\|=|\|~|\|>|!>|[=<>+\-*/%^|!~@&]/y],
  // A hyphen is part of a name only behind a dot (resource.k8s.pod-name): before
  // one it subtracts.
  ["word", /\.?[A-Za-z_][\w:]*(?:\.[\w:/-]+)*(?:\.(?="))?/y],
  ["open", /[({[]/y],
  ["close", /[)}\]]/y],
  ["comma", /,/y],
];

/** Cuts a text into tokens; what is no token of any language comes as "bad". */
export function lex(text: string): Token[] {
  const out: Token[] = [];
  let at = 0;
  while (at < text.length) {
    space.lastIndex = at;
    if (space.test(text)) {
      at = space.lastIndex;
      continue;
    }
    let kind: TokenKind = "bad";
    let end = at + 1;
    for (const [k, rule] of rules) {
      rule.lastIndex = at;
      if (rule.test(text)) {
        kind = k;
        end = rule.lastIndex;
        break;
      }
    }
    out.push({ kind, text: text.slice(at, end), start: at, end });
    at = end;
  }
  return out;
}

/** Writes a value as a double-quoted string. */
export function quote(value: string): string {
  return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}

/** The value of a quoted string. */
export function unquote(text: string): string {
  const inner = text.slice(1, -1);
  if (text.startsWith("`")) {
    return inner;
  }
  return inner.replace(/\\(.)/g, (_, c: string) => ({ n: "\n", t: "\t", r: "\r" })[c] ?? c);
}

/** Reads tokens one after the other; `fail` ends a parse that a builder cannot show. */
export class Reader {
  private at = 0;
  constructor(private readonly tokens: readonly Token[]) {}

  get done(): boolean {
    return this.at >= this.tokens.length;
  }

  peek(ahead = 0): Token | undefined {
    return this.tokens[this.at + ahead];
  }

  is(text: string, ahead = 0): boolean {
    return this.peek(ahead)?.text === text;
  }

  next(): Token {
    const t = this.tokens[this.at];
    if (!t) {
      throw new NotShown("the query ends too early");
    }
    this.at++;
    return t;
  }

  take(text: string): boolean {
    if (this.is(text)) {
      this.at++;
      return true;
    }
    return false;
  }

  expect(text: string): void {
    if (!this.take(text)) {
      throw new NotShown(`expected ${text}${this.peek() ? ` before ${this.peek()?.text}` : ""}`);
    }
  }

  kind(kind: TokenKind): Token {
    const t = this.next();
    if (t.kind !== kind) {
      throw new NotShown(`${t.text} is more than the builder shows`);
    }
    return t;
  }
}

/** A text that is no query, or one that the builder has no rows for. */
export class NotShown extends Error {}

/** What a parser of a builder gives: the model, or why there is none. */
export type Shown<T> = { model: T; reason?: undefined } | { model?: undefined; reason: string };

export function show<T>(text: string, parse: (r: Reader) => T): Shown<T> {
  const r = new Reader(lex(text));
  try {
    const model = parse(r);
    const left = r.peek();
    return left ? { reason: `${left.text} is more than the builder shows` } : { model };
  } catch (e) {
    if (e instanceof NotShown) {
      return { reason: e.message };
    }
    throw e;
  }
}
