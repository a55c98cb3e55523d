/** Queries kept by name, and those that were run. Both stay in this browser. */
import { BookMarked, Star, Trash2 } from "lucide-react";
import { useEffect, useState } from "react";
import { clip } from "@/lib/format";
import { readStored, writeStored } from "@/lib/settings";
import { Dialog, Menu, MenuHead, MenuItem, MenuLine } from "./overlay";
import { toast } from "./toast";

export type Page = "logs" | "traces" | "metrics";

interface Saved {
  name: string;
  query: string;
}

const savedKey = (p: Page) => `braid.saved.${p}`;
const ranKey = (p: Page) => `braid.ran.${p}`;

/** Adds a query to the history once it has stood for a moment. */
export function useRemember(page: Page, query: string) {
  useEffect(() => {
    if (!query) return;
    const t = setTimeout(() => {
      const list = readStored<string[]>(ranKey(page), []).filter((q) => q !== query);
      writeStored(ranKey(page), [query, ...list].slice(0, 40));
    }, 1500);
    return () => clearTimeout(t);
  }, [page, query]);
}

export function SavedMenu({ page, query, onPick }: { page: Page; query: string; onPick: (query: string) => void }) {
  const [saved, setSaved] = useState<Saved[]>([]);
  const [ran, setRan] = useState<string[]>([]);
  const [naming, setNaming] = useState(false);
  const keep = (list: Saved[]) => {
    setSaved(list);
    writeStored(savedKey(page), list);
  };
  return (
    <>
      <Menu
        onOpenChange={(open) => {
          if (!open) return;
          setSaved(readStored<Saved[]>(savedKey(page), []));
          setRan(readStored<string[]>(ranKey(page), []));
        }}
        trigger={
          <button type="button" className="btn">
            <BookMarked size={14} /> <span className="hide-narrow">Saved</span>
          </button>
        }
      >
        <MenuItem icon={<Star size={14} />} onSelect={() => setNaming(true)}>
          Save this query
        </MenuItem>
        {saved.length > 0 && <MenuLine />}
        {saved.map((s) => (
          <MenuItem key={s.name} onSelect={() => onPick(s.query)}>
            {s.name}
          </MenuItem>
        ))}
        {ran.length > 0 && (
          <>
            <MenuLine />
            <MenuHead>Run before</MenuHead>
          </>
        )}
        {ran.slice(0, 14).map((q) => (
          <MenuItem key={q} onSelect={() => onPick(q)}>
            <code>{clip(q, 70)}</code>
          </MenuItem>
        ))}
      </Menu>
      <Dialog title="Saved queries" open={naming} onClose={() => setNaming(false)}>
        <form
          className="row"
          onSubmit={(e) => {
            e.preventDefault();
            const name = String(new FormData(e.currentTarget).get("name") ?? "").trim();
            if (!name) return;
            keep([{ name, query }, ...saved.filter((s) => s.name !== name)]);
            setNaming(false);
            toast(`Saved as ${name}`);
          }}
        >
          <input className="input grow" name="name" placeholder="Name" aria-label="Name" maxLength={120} />
          <button type="submit" className="btn primary">
            Save
          </button>
        </form>
        <p className="mono muted" style={{ margin: "10px 0" }}>
          {clip(query, 400)}
        </p>
        <ul>
          {saved.map((s) => (
            <li key={s.name} className="row">
              <span className="cut grow">
                <b>{s.name}</b> <code className="muted">{clip(s.query, 90)}</code>
              </span>
              <button
                type="button"
                className="btn small icon ghost"
                aria-label={`Delete ${s.name}`}
                onClick={() => keep(saved.filter((x) => x !== s))}
              >
                <Trash2 size={13} />
              </button>
            </li>
          ))}
        </ul>
      </Dialog>
    </>
  );
}
