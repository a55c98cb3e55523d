/** A colour that may be a token, as canvas needs it. */
export function cssColor(color: string, el: Element = document.documentElement): string {
  const m = /^var\((--[\w-]+)\)$/.exec(color);
  return m ? getComputedStyle(el).getPropertyValue(m[1]!).trim() : color;
}
