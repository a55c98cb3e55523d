/** The legend of a chart: click shows one series alone, ctrl-click hides it, the values are of the range shown. */
import { byUnit } from "@/lib/format";
import type { Line } from "./align";

interface Props {
  lines: readonly Line[];
  hidden: ReadonlySet<number>;
  onHidden: (hidden: ReadonlySet<number>) => void;
  unit?: string | undefined;
}

const maxRows = 200;

export function Legend({ lines, hidden, onHidden, unit }: Props) {
  const click = (i: number, add: boolean) => {
    if (add) {
      const next = new Set(hidden);
      if (!next.delete(i)) next.add(i);
      onHidden(next);
      return;
    }
    const alone = hidden.size === lines.length - 1 && !hidden.has(i);
    onHidden(alone ? new Set() : new Set(lines.map((_, j) => j).filter((j) => j !== i)));
  };
  return (
    <div className="legend">
      <table className="table" aria-label="Series">
        <thead>
          <tr>
            <th>Series</th>
            <th className="num">Last</th>
            <th className="num">Mean</th>
            <th className="num">Max</th>
          </tr>
        </thead>
        <tbody>
          {lines.slice(0, maxRows).map((l, i) => {
            const s = summary(l);
            return (
              <tr key={`${l.name}/${i}`} data-off={hidden.has(i)}>
                <td>
                  <button
                    type="button"
                    className="value"
                    aria-pressed={!hidden.has(i)}
                    onClick={(e) => click(i, e.ctrlKey || e.metaKey)}
                    title="Click: only this series. Ctrl-click: hide or show."
                  >
                    <i className="swatch" style={{ background: l.color }} aria-hidden /> <bdi>{l.name}</bdi>
                  </button>
                </td>
                <td className="num">{byUnit(s.last, unit)}</td>
                <td className="num">{byUnit(s.mean, unit)}</td>
                <td className="num">{byUnit(s.max, unit)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {lines.length > maxRows && (
        <div className="muted">and {lines.length - maxRows} more series: narrow the query</div>
      )}
    </div>
  );
}

function summary(l: Line) {
  let last = Number.NaN;
  let max = Number.NaN;
  let sum = 0;
  let n = 0;
  for (const [, v] of l.points) {
    if (!Number.isFinite(v)) continue;
    last = v;
    max = Number.isNaN(max) ? v : Math.max(max, v);
    sum += v;
    n++;
  }
  return { last, max, mean: n ? sum / n : Number.NaN };
}
