/** Views kept by name on the server, for everyone of the tenant; queries that were run, in this browser. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { BookMarked, History, Star, Trash2 } from "lucide-react";
import { useEffect, useState } from "react";
import { deleteView, listViews, saveView, type View } from "@/api/kept";
import { clip } from "@/lib/format";
import { readStored, writeStored } from "@/lib/settings";
import { useGo } from "@/shell/url";
import { ErrorNotice, Loading } from "./feedback";
import { Dialog, Menu, MenuHead, MenuItem, MenuLine } from "./overlay";
import { toast } from "./toast";

export type Page = "logs" | "traces" | "metrics";

const ranKey = (p: Page) => `braid.ran.${p}`;
const mostRan = 100;

/** Adds a query to the history once it has stood for a moment. */
export function useRemember(page: Page, query: string) {
  useEffect(() => {
    if (!query) return;
    const t = setTimeout(() => {
      const list = readStored<string[]>(ranKey(page), []).filter((q) => q !== query);
      writeStored(ranKey(page), [query, ...list].slice(0, mostRan));
    }, 1500);
    return () => clearTimeout(t);
  }, [page, query]);
}

const pathOf: Record<Page, string> = {
  logs: "/explore/logs",
  traces: "/explore/traces",
  metrics: "/explore/metrics",
};

export function SavedMenu({ page, query, onPick }: { page: Page; query: string; onPick: (query: string) => void }) {
  const [opened, setOpened] = useState(false);
  const [dialog, setDialog] = useState<"save" | "history">();
  const [ran, setRan] = useState<string[]>([]);
  const go = useGo();
  const views = useQuery({
    queryKey: ["views"],
    queryFn: ({ signal }) => listViews(signal),
    enabled: opened,
    retry: false,
  });
  const mine = (views.data ?? []).filter((v) => v.path.startsWith(pathOf[page]));
  return (
    <>
      <Menu
        onOpenChange={(open) => {
          if (!open) return;
          setOpened(true);
          setRan(readStored<string[]>(ranKey(page), []));
        }}
        trigger={
          <button type="button" className="btn" aria-label="Saved">
            <BookMarked size={14} /> <span className="hide-narrow">Saved</span>
          </button>
        }
      >
        <MenuItem icon={<Star size={14} />} onSelect={() => setDialog("save")}>
          Save this view…
        </MenuItem>
        {mine.length > 0 && (
          <>
            <MenuLine />
            <MenuHead>Saved views</MenuHead>
          </>
        )}
        {mine.slice(0, 20).map((v) => (
          <MenuItem key={v.id} onSelect={() => go(v.path)}>
            {v.title}
          </MenuItem>
        ))}
        {ran.length > 0 && (
          <>
            <MenuLine />
            <MenuHead>Run before</MenuHead>
          </>
        )}
        {ran.slice(0, 10).map((q) => (
          <MenuItem key={q} onSelect={() => onPick(q)}>
            <code>{clip(q, 70)}</code>
          </MenuItem>
        ))}
        {ran.length > 10 && (
          <MenuItem icon={<History size={14} />} onSelect={() => setDialog("history")}>
            All {ran.length} queries run before…
          </MenuItem>
        )}
      </Menu>
      <Dialog title="Saved views" open={dialog === "save"} onClose={() => setDialog(undefined)}>
        <Save page={page} query={query} views={mine} error={views.error} onDone={() => setDialog(undefined)} />
      </Dialog>
      <Dialog title="Queries run before" open={dialog === "history"} wide onClose={() => setDialog(undefined)}>
        <Ran
          list={ran}
          onPick={(q) => {
            onPick(q);
            setDialog(undefined);
          }}
          onClear={() => {
            writeStored(ranKey(page), []);
            setRan([]);
            setDialog(undefined);
          }}
        />
      </Dialog>
    </>
  );
}

function Save({
  page,
  query,
  views,
  error,
  onDone,
}: {
  page: Page;
  query: string;
  views: readonly View[];
  error: unknown;
  onDone: () => void;
}) {
  const client = useQueryClient();
  const [failed, setFailed] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const attempt = async (f: () => Promise<unknown>) => {
    setBusy(true);
    setFailed(undefined);
    try {
      await f();
      await client.invalidateQueries({ queryKey: ["views"] });
      return true;
    } catch (e) {
      setFailed(e);
      return false;
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="col">
      <form
        className="row"
        onSubmit={(e) => {
          e.preventDefault();
          const title = String(new FormData(e.currentTarget).get("name") ?? "").trim();
          if (!title) return;
          const path = pathOf[page] + window.location.search;
          const same = views.find((v) => v.title === title);
          void attempt(() => saveView(title, path, query, same?.id)).then((ok) => {
            if (!ok) return;
            toast(`Saved as ${title}`);
            onDone();
          });
        }}
      >
        <input
          className="input grow"
          name="name"
          placeholder="Name"
          aria-label="Name"
          maxLength={120}
          autoComplete="off"
        />
        <button type="submit" className="btn primary" disabled={busy}>
          Save
        </button>
      </form>
      <Loading on={busy} />
      <ErrorNotice error={failed ?? error} />
      <p className="mono muted cut">{clip(query, 400)}</p>
      <p className="small muted">
        Query, range, columns and everything else of this page are kept, on the server, for everyone of your tenant. A
        name that is taken is replaced.
      </p>
      <ul>
        {views.map((v) => (
          <li key={v.id} className="row">
            <span className="cut grow">
              <b>{v.title}</b> <code className="muted">{clip(v.query, 90)}</code>
            </span>
            <button
              type="button"
              className="btn small icon ghost"
              aria-label={`Delete ${v.title}`}
              disabled={busy}
              onClick={() => void attempt(() => deleteView(v.id))}
            >
              <Trash2 size={13} />
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Ran({ list, onPick, onClear }: { list: readonly string[]; onPick: (q: string) => void; onClear: () => void }) {
  const [find, setFind] = useState("");
  const shown = list.filter((q) => q.toLowerCase().includes(find.toLowerCase()));
  return (
    <div className="col">
      <div className="row">
        <input
          className="input grow"
          placeholder={`Find among ${list.length}`}
          aria-label="Find a query"
          value={find}
          onChange={(e) => setFind(e.target.value)}
        />
        <button type="button" className="btn small" onClick={onClear}>
          <Trash2 size={13} /> Forget all
        </button>
      </div>
      <ul>
        {shown.map((q) => (
          <li key={q}>
            <button type="button" className="value mono cut" onClick={() => onPick(q)}>
              {clip(q, 300)}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
