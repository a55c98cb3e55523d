/** Puts what a page shows onto a dashboard, an old one or a new one. */
import { useQuery } from "@tanstack/react-query";
import { LayoutDashboard } from "lucide-react";
import { useState } from "react";
import { freshId, listDashboards, loadDashboard, saveDashboard } from "@/api/dashboards";
import { arrange, emptyDashboard, type Panel, type PanelQuery, type PanelType } from "@/lib/dashboards";
import { useGo } from "@/shell/url";
import { ErrorNotice } from "./feedback";
import { Dialog } from "./overlay";

interface Props {
  type: PanelType;
  queries: readonly PanelQuery[];
  unit?: string | undefined;
  small?: boolean;
}

export function AddToDashboard(p: Props) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        className={p.small ? "btn small ghost" : "btn"}
        aria-label="Add to dashboard"
        onClick={() => setOpen(true)}
        disabled={p.queries.length === 0}
      >
        <LayoutDashboard size={p.small ? 13 : 14} /> <span className="hide-narrow">Add to dashboard</span>
      </button>
      {open && <Choose {...p} onClose={() => setOpen(false)} />}
    </>
  );
}

function Choose({ type, queries, unit, onClose }: Props & { onClose: () => void }) {
  const [into, setInto] = useState("");
  const [title, setTitle] = useState((queries[0]?.expr ?? "").slice(0, 80));
  const [name, setName] = useState("New dashboard");
  const [error, setError] = useState<unknown>();
  const list = useQuery({ queryKey: ["dashboards"], queryFn: ({ signal }) => listDashboards(signal) });
  const go = useGo();
  const add = async () => {
    try {
      const board = into ? await loadDashboard(into) : emptyDashboard(freshId(name), name);
      const y = board.panels.reduce((n, x) => Math.max(n, x.y + x.h), 0);
      const panel: Panel = {
        id: `p${Date.now().toString(36)}`,
        title,
        type,
        queries: [...queries],
        x: 0,
        y,
        w: 12,
        h: 9,
        ...(unit ? { unit } : {}),
      };
      await saveDashboard({ ...board, panels: arrange([...board.panels, panel]) });
      go(`/dashboards/${encodeURIComponent(board.id)}`);
    } catch (e) {
      setError(e);
    }
  };
  return (
    <Dialog title="Add to a dashboard" open onClose={onClose}>
      <form
        className="col"
        onSubmit={(e) => {
          e.preventDefault();
          void add();
        }}
      >
        <ErrorNotice error={error ?? list.error} />
        <label className="field">
          <span>Title of the panel</span>
          <input className="input" value={title} onChange={(e) => setTitle(e.target.value)} />
        </label>
        <label className="field">
          <span>Dashboard</span>
          <select className="select" value={into} onChange={(e) => setInto(e.target.value)}>
            <option value="">A new one</option>
            {(list.data?.dashboards ?? []).map((d) => (
              <option key={d.id} value={d.id}>
                {d.title}
              </option>
            ))}
          </select>
        </label>
        {!into && (
          <label className="field">
            <span>Name of the new dashboard</span>
            <input className="input" value={name} onChange={(e) => setName(e.target.value)} />
          </label>
        )}
        <button type="submit" className="btn primary" style={{ alignSelf: "start" }}>
          Add
        </button>
      </form>
    </Dialog>
  );
}
