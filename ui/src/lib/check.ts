/** Where a server says that a query is wrong. */
export interface Mistake {
  from: number;
  to: number;
  message: string;
  /** What to write instead, when the server knows. */
  fix?: string;
}

/** The place in "… line 1, col 12: …" or "… 1:7: …" as offsets into the text. */
export function mistakeOf(message: string, text: string): Mistake | undefined {
  const m = /line (\d+), col(?:umn)? (\d+):\s*/.exec(message) ?? /\b(\d+):(\d+): (?:parse error: )?/.exec(message);
  if (!m) return undefined;
  const lines = text.split("\n");
  const row = Math.min(lines.length, Math.max(1, Number(m[1])));
  const start = lines.slice(0, row - 1).reduce((n, l) => n + l.length + 1, 0);
  const column = Math.min(lines[row - 1]!.length, Math.max(0, Number(m[2]) - 1));
  const at = start + column;
  const word = /^[\w.:-]+/.exec(text.slice(at))?.[0].length ?? 1;
  // At the end there is nothing to underline but the last character.
  const from = at >= text.length ? Math.max(0, text.length - 1) : at;
  const words = message.slice(m.index + m[0].length).trim() || message;
  const fix = /did you mean ["`]?([\w.:]+)["`]?/i.exec(words)?.[1];
  return { from, to: Math.min(text.length, Math.max(from + 1, at + word)), message: words, ...(fix ? { fix } : {}) };
}
