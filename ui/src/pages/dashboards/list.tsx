/** All dashboards; make one, or bring one from Grafana. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { FileInput, Plus, Trash2 } from "lucide-react";
import { type ChangeEvent, useRef, useState } from "react";
import { deleteDashboard, freshId, listDashboards, saveDashboard } from "@/api/dashboards";
import { emptyDashboard, fromGrafana, fromOwn } from "@/lib/dashboards";
import { Empty, ErrorNotice, Loading, Notice, Warnings } from "@/parts/feedback";
import { Time } from "@/parts/show";
import { useTitle } from "@/shell/shell";
import { A, href, useGo, useParams } from "@/shell/url";

export default function DashboardsPage() {
  useTitle("Dashboards");
  const q = useQuery({ queryKey: ["dashboards"], queryFn: ({ signal }) => listDashboards(signal) });
  const [error, setError] = useState<unknown>();
  const [imported, setImported] = useState<{ id: string; title: string; notes: string[] }>();
  const file = useRef<HTMLInputElement>(null);
  const client = useQueryClient();
  const go = useGo();
  const attempt = async (f: () => Promise<void>) => {
    setError(undefined);
    try {
      await f();
      await client.invalidateQueries({ queryKey: ["dashboards"] });
    } catch (e) {
      setError(e);
    }
  };
  const create = () =>
    attempt(async () => {
      const id = freshId("dashboard");
      await saveDashboard(emptyDashboard(id, "New dashboard"));
      go(href(`/dashboards/${id}`, { edit: "on" }));
    });
  const bring = (e: ChangeEvent<HTMLInputElement>) => {
    const chosen = e.target.files?.[0];
    e.target.value = "";
    if (!chosen) return;
    void attempt(async () => {
      const text = await chosen.text();
      const id = freshId(chosen.name.replace(/\.json$/, ""));
      const own = fromOwn(text, id);
      const { dashboard, notes } = own ? { dashboard: own, notes: [] } : fromGrafana(text, id);
      await saveDashboard(dashboard);
      setImported({ id: dashboard.id, title: dashboard.title, notes });
    });
  };
  const [params, setParams] = useParams();
  const find = (params.find ?? "").toLowerCase();
  const all = q.data?.dashboards ?? [];
  const list = all.filter((d) => d.title.toLowerCase().includes(find)).sort((a, b) => a.title.localeCompare(b.title));
  return (
    <div className="page">
      <div className="page-head">
        <h1>Dashboards</h1>
        <div className="push row">
          <button
            type="button"
            className="btn"
            title="JSON of a Grafana dashboard, or one exported here"
            onClick={() => file.current?.click()}
          >
            <FileInput size={14} /> Import
          </button>
          <input
            ref={file}
            type="file"
            accept=".json,application/json"
            className="offscreen"
            aria-label="Dashboard file, of Grafana or exported here"
            tabIndex={-1}
            onChange={bring}
          />
          <button type="button" className="btn primary" onClick={() => void create()}>
            <Plus size={14} /> New dashboard
          </button>
        </div>
      </div>
      <Loading on={q.isFetching} />
      <ErrorNotice error={error ?? q.error} />
      {q.data?.kept === "browser" && (
        <Notice kind="warn">This server keeps no dashboards: they stay in this browser only.</Notice>
      )}
      {imported && (
        <Notice kind="ok">
          Imported <A to={`/dashboards/${imported.id}`}>{imported.title}</A>.
          <Warnings list={imported.notes} />
        </Notice>
      )}
      {all.length > 8 && (
        <input
          className="input"
          style={{ width: 280 }}
          placeholder={`Find among ${all.length}`}
          aria-label="Find a dashboard"
          value={params.find ?? ""}
          onChange={(e) => setParams({ find: e.target.value || undefined }, true)}
        />
      )}
      {q.isSuccess && all.length === 0 ? (
        <Empty title="No dashboards yet">
          Make one, or import the JSON of a Grafana dashboard: its panels and variables come along.
        </Empty>
      ) : (
        <section className="panel">
          <table className="table" aria-label="Dashboards">
            <tbody>
              {list.map((d) => (
                <tr key={d.id}>
                  <td>
                    <A to={`/dashboards/${encodeURIComponent(d.id)}`}>{d.title}</A>
                  </td>
                  <td className="num muted small">
                    {d.updatedMs ? (
                      <>
                        changed <Time ms={d.updatedMs} />
                      </>
                    ) : null}
                  </td>
                  <td className="num" style={{ width: 40 }}>
                    <button
                      type="button"
                      className="btn small ghost icon"
                      aria-label={`Delete ${d.title}`}
                      onClick={() =>
                        window.confirm(`Delete “${d.title}”?`) && void attempt(() => deleteDashboard(d.id))
                      }
                    >
                      <Trash2 size={13} />
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </div>
  );
}
