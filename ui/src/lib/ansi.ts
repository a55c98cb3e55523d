/** Text with terminal colours as pieces; other escape sequences are dropped. */
export interface Piece {
  text: string;
  color?: string;
  bold?: boolean;
}

const colors = ["--text-3", "--error", "--ok", "--warn", "--series-1", "--series-4", "--series-3", "--text"];

// biome-ignore lint/suspicious/noControlCharactersInRegex: these sequences are made of control characters
const sequence = /\x1b(?:\[([0-9;]*)([A-Za-z])|\][^\x07]*\x07|[()][0-9A-B])/g;

export const hasAnsi = (text: string) => text.includes("\x1b");

export function ansi(text: string): Piece[] {
  const out: Piece[] = [];
  let style: { color?: string; bold?: boolean } = {};
  let from = 0;
  const push = (t: string) => t && out.push({ text: t, ...style });
  for (const m of text.matchAll(sequence)) {
    push(text.slice(from, m.index));
    from = m.index + m[0].length;
    if (m[2] === "m") style = sgr(style, m[1] ?? "");
  }
  push(text.slice(from));
  return out;
}

function sgr(before: { color?: string; bold?: boolean }, codes: string) {
  let s = { ...before };
  const list = codes.split(";").map(Number);
  for (let i = 0; i < list.length; i++) {
    const c = list[i]!;
    if (c === 0) s = {};
    else if (c === 1) s.bold = true;
    else if (c === 22) delete s.bold;
    else if (c === 39) delete s.color;
    else if (c === 38) i += list[i + 1] === 5 ? 2 : 4;
    else if (c >= 30 && c <= 37) s.color = `var(${colors[c - 30]})`;
    else if (c >= 90 && c <= 97) s.color = `var(${colors[c - 90]})`;
  }
  return s;
}

/** Pieces cut further where a searched text stands, for marking. */
export function split(text: string, needles: readonly string[]): { text: string; hit: boolean }[] {
  if (needles.length === 0) return [{ text, hit: false }];
  const out: { text: string; hit: boolean }[] = [];
  let at = 0;
  while (at < text.length && out.length < 200) {
    let best = -1;
    let len = 0;
    for (const n of needles) {
      const i = text.indexOf(n, at);
      if (i >= 0 && (best < 0 || i < best)) {
        best = i;
        len = n.length;
      }
    }
    if (best < 0) break;
    if (best > at) out.push({ text: text.slice(at, best), hit: false });
    out.push({ text: text.slice(best, best + len), hit: true });
    at = best + len;
  }
  if (at < text.length) out.push({ text: text.slice(at), hit: false });
  return out;
}
