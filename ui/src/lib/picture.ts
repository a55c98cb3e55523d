/** A chart as a picture that stands by itself: ground, title, legend. */

export interface LegendEntry {
  name: string;
  /** A CSS colour or a token, var(--…). */
  color: string;
}

const mostEntries = 24;

/** Draws a chart's canvas onto a new one. The page's own canvas has no ground: on white paper it would be unreadable. */
export function toPicture(
  source: HTMLCanvasElement,
  title: string,
  legend: readonly LegendEntry[],
  color: (token: string) => string,
): HTMLCanvasElement {
  const out = document.createElement("canvas");
  const ctx = out.getContext("2d");
  const k = Math.max(1, source.width / Math.max(1, source.clientWidth || source.width));
  const line = 18 * k;
  const shown = legend.slice(0, mostEntries);
  const rows = shown.length + (legend.length > shown.length ? 1 : 0);
  out.width = source.width + 24 * k;
  out.height = source.height + (title ? line + 14 * k : 10 * k) + rows * line + 12 * k;
  if (!ctx) return source;
  ctx.fillStyle = color("var(--surface)");
  ctx.fillRect(0, 0, out.width, out.height);
  ctx.textBaseline = "middle";
  let y = 10 * k;
  if (title) {
    ctx.font = `600 ${13 * k}px system-ui, sans-serif`;
    ctx.fillStyle = color("var(--text)");
    ctx.fillText(cut(ctx, title, out.width - 24 * k), 12 * k, y + line / 2);
    y += line + 4 * k;
  }
  ctx.drawImage(source, 12 * k, y);
  y += source.height;
  ctx.font = `${12 * k}px system-ui, sans-serif`;
  for (const e of shown) {
    ctx.fillStyle = color(e.color);
    ctx.fillRect(16 * k, y + 4 * k, 10 * k, 10 * k);
    ctx.fillStyle = color("var(--text)");
    ctx.fillText(cut(ctx, e.name, out.width - 48 * k), 34 * k, y + line / 2);
    y += line;
  }
  if (rows > shown.length) {
    ctx.fillStyle = color("var(--text-2)");
    ctx.fillText(`and ${legend.length - shown.length} more series`, 34 * k, y + line / 2);
  }
  return out;
}

/** A text that fits a width, cut with an ellipsis. */
function cut(ctx: CanvasRenderingContext2D, text: string, width: number): string {
  let t = text.replace(/\s+/g, " ").slice(0, 400);
  if (ctx.measureText(t).width <= width) return t;
  while (t.length > 1 && ctx.measureText(`${t}…`).width > width) t = t.slice(0, -1);
  return `${t}…`;
}
