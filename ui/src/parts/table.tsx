/** A table whose columns sort; more rows than fit a screen or two come by paging. */
import { ArrowDown, ArrowUp } from "lucide-react";
import { type ReactNode, useMemo, useState } from "react";
import { plural } from "@/lib/format";

export interface Column<T> {
  id: string;
  head: ReactNode;
  cell: (row: T) => ReactNode;
  /** What the column sorts by; absent: it does not sort. */
  sort?: (row: T) => string | number;
  num?: boolean;
  /** Takes the room that is left, and is cut rather than wrapped. */
  grow?: boolean;
  width?: string;
}

interface Props<T> {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey: (row: T, i: number) => string;
  initial?: { id: string; desc: boolean };
  onRow?: (row: T) => void;
  selected?: (row: T) => boolean;
  page?: number;
}

export function Table<T>({ label, columns, rows, rowKey, initial, onRow, selected, page = 200 }: Props<T>) {
  const [order, setOrder] = useState(initial);
  const [limit, setLimit] = useState(page);
  const sorted = useMemo(() => {
    const by = columns.find((c) => c.id === order?.id)?.sort;
    if (!by || !order) return rows;
    const sign = order.desc ? -1 : 1;
    return [...rows].sort((a, b) => {
      const [x, y] = [by(a), by(b)];
      if (typeof x === "number" && typeof y === "number")
        return sign * ((Number.isNaN(x) ? -Infinity : x) - (Number.isNaN(y) ? -Infinity : y));
      return sign * String(x).localeCompare(String(y), undefined, { numeric: true });
    });
  }, [rows, columns, order]);
  return (
    <>
      <table className="table" aria-label={label}>
        <thead>
          <tr>
            {columns.map((c) => (
              <th
                key={c.id}
                className={c.num ? "num" : undefined}
                style={c.width ? { width: c.width } : undefined}
                aria-sort={order?.id === c.id ? (order.desc ? "descending" : "ascending") : undefined}
              >
                {c.sort ? (
                  <button
                    type="button"
                    onClick={() => setOrder({ id: c.id, desc: order?.id === c.id ? !order.desc : Boolean(c.num) })}
                  >
                    {c.head}
                    {order?.id === c.id && (order.desc ? <ArrowDown size={12} /> : <ArrowUp size={12} />)}
                  </button>
                ) : (
                  c.head
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.slice(0, limit).map((r, i) => (
            // The row is a convenience for the mouse: a link or button inside does the same by keyboard.
            <tr
              key={rowKey(r, i)}
              data-selected={selected?.(r)}
              onClick={onRow && (() => onRow(r))}
              style={onRow && { cursor: "pointer" }}
            >
              {columns.map((c) => (
                <td key={c.id} className={c.num ? "num" : c.grow ? "cut-cell" : undefined}>
                  {c.cell(r)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {sorted.length > limit && (
        <button type="button" className="btn small" style={{ margin: 8 }} onClick={() => setLimit(limit + page * 2)}>
          Show more ({plural(sorted.length - limit, "row")} left)
        </button>
      )}
    </>
  );
}
