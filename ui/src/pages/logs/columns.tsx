/** Which fields stand as columns beside the lines, and in which order. */
import { ArrowLeft, ArrowRight, Columns3, X } from "lucide-react";
import { useState } from "react";
import { Loading } from "@/parts/feedback";
import { Popover } from "@/parts/overlay";
import { useRange } from "@/shell/range";
import { useParams } from "@/shell/url";
import { useLogFields } from "./use-logs";

export function ColumnMenu({ query, columns }: { query: string; columns: readonly string[] }) {
  const { range } = useRange();
  const [, setParams] = useParams();
  const [open, setOpen] = useState(false);
  const [find, setFind] = useState("");
  const { q } = useLogFields(query, range, open);
  const set = (list: readonly string[]) => setParams({ cols: list.join(",") || undefined }, true);
  const move = (i: number, by: number) => {
    const list = [...columns];
    const [c] = list.splice(i, 1);
    if (c !== undefined) list.splice(i + by, 0, c);
    set(list);
  };
  const rest = (q.data ?? [])
    .map((f) => f.label)
    .filter((l) => !columns.includes(l) && !l.includes(",") && l.toLowerCase().includes(find.toLowerCase()))
    .sort((a, b) => a.localeCompare(b));
  return (
    <Popover
      label="Columns"
      open={open}
      onOpenChange={setOpen}
      trigger={
        <button type="button" className="btn small ghost">
          <Columns3 size={13} /> Columns{columns.length > 0 && ` (${columns.length})`}
        </button>
      }
    >
      <div className="col" style={{ width: 300, maxHeight: 420 }}>
        {columns.length > 0 && (
          <ul aria-label="Shown">
            {columns.map((c, i) => (
              <li key={c} className="row">
                <bdi className="cut grow">{c}</bdi>
                <button
                  type="button"
                  className="btn small icon ghost"
                  aria-label={`Move ${c} left`}
                  disabled={i === 0}
                  onClick={() => move(i, -1)}
                >
                  <ArrowLeft size={12} />
                </button>
                <button
                  type="button"
                  className="btn small icon ghost"
                  aria-label={`Move ${c} right`}
                  disabled={i === columns.length - 1}
                  onClick={() => move(i, 1)}
                >
                  <ArrowRight size={12} />
                </button>
                <button
                  type="button"
                  className="btn small icon ghost"
                  aria-label={`Hide ${c}`}
                  onClick={() => set(columns.filter((x) => x !== c))}
                >
                  <X size={12} />
                </button>
              </li>
            ))}
          </ul>
        )}
        <input
          className="input"
          placeholder="Add a field"
          aria-label="Add a field"
          value={find}
          onChange={(e) => setFind(e.target.value)}
        />
        <Loading on={q.isFetching} />
        <ul className="scroll" aria-label="Fields">
          {rest.slice(0, 200).map((l) => (
            <li key={l}>
              <button type="button" className="value cut" onClick={() => set([...columns, l])}>
                {l}
              </button>
            </li>
          ))}
        </ul>
      </div>
    </Popover>
  );
}
