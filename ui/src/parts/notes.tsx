/** Notes on charts: a sentence about a moment or a span, kept on the server, drawn on every chart that covers it. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Pencil, StickyNote, Trash2 } from "lucide-react";
import { useMemo, useState } from "react";
import { deleteNote, listNotes, type Note, saveNote } from "@/api/kept";
import { useSettings } from "@/lib/settings";
import { formatTime, parseTime, type Range } from "@/lib/time";
import { useRange } from "@/shell/range";
import { ErrorNotice } from "./feedback";
import { Dialog } from "./overlay";
import { Time } from "./show";
import { toast } from "./toast";

const none: readonly Note[] = [];

/** The notes that a range meets, by time. */
export function useNotes(range: Range): readonly Note[] {
  const q = useQuery({
    queryKey: ["notes"],
    queryFn: ({ signal }) => listNotes(signal),
    staleTime: 60_000,
    retry: false,
  });
  return useMemo(
    () =>
      q.data
        ?.filter((n) => n.fromMs <= range.toMs && (n.toMs ?? n.fromMs) >= range.fromMs)
        .sort((a, b) => a.fromMs - b.fromMs)
        .slice(-100) ?? none,
    [q.data, range.fromMs, range.toMs],
  );
}

/** A button that writes a note, and the notes of the range with what can be done to them. */
export function Notes() {
  const { range } = useRange();
  const notes = useNotes(range);
  const [open, setOpen] = useState<Note | "new">();
  return (
    <>
      <button
        type="button"
        className="btn small ghost"
        onClick={() => setOpen("new")}
        title="Write a note on the charts"
      >
        <StickyNote size={13} /> <span className="hide-narrow">Note{notes.length > 0 && `s (${notes.length})`}</span>
      </button>
      <Dialog title="Notes on charts" open={open !== undefined} onClose={() => setOpen(undefined)}>
        {open !== undefined && (
          <div className="col">
            <NoteForm
              key={open === "new" ? "new" : open.id}
              first={open === "new" ? { text: "", fromMs: Math.min(range.toMs, Date.now()) } : open}
              onDone={() => setOpen("new")}
            />
            <NoteList notes={notes} onEdit={setOpen} />
          </div>
        )}
      </Dialog>
    </>
  );
}

function NoteList({ notes, onEdit }: { notes: readonly Note[]; onEdit: (n: Note) => void }) {
  const client = useQueryClient();
  const drop = useMutation({
    mutationFn: deleteNote,
    onSuccess: () => client.invalidateQueries({ queryKey: ["notes"] }),
  });
  if (notes.length === 0) return <p className="muted small">No note is in this range.</p>;
  return (
    <>
      <ErrorNotice error={drop.error} />
      <ul aria-label="Notes in this range">
        {notes.map((n) => (
          <li key={n.id} className="row">
            <span className="muted nowrap">
              <Time ms={n.fromMs} />
            </span>
            <bdi className="cut grow">{n.text}</bdi>
            <button
              type="button"
              className="btn small icon ghost"
              aria-label={`Change the note ${n.text}`}
              onClick={() => onEdit(n)}
            >
              <Pencil size={12} />
            </button>
            <button
              type="button"
              className="btn small icon ghost"
              aria-label={`Delete the note ${n.text}`}
              disabled={drop.isPending}
              onClick={() => drop.mutate(n.id)}
            >
              <Trash2 size={12} />
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

/** Writes or changes one note. */
export function NoteForm({ first, onDone }: { first: Omit<Note, "id"> & { id?: string }; onDone: () => void }) {
  const { zone } = useSettings();
  const shown = (ms: number | undefined) => (ms === undefined ? "" : formatTime(ms, zone, 0));
  const [text, setText] = useState(first.text);
  const [from, setFrom] = useState(() => shown(first.fromMs));
  const [to, setTo] = useState(() => shown(first.toMs));
  const client = useQueryClient();
  // What was not touched keeps its milliseconds.
  const at = (typed: string, was: number | undefined) =>
    typed === shown(was) ? was : parseTime(typed, Date.now(), zone);
  const fromMs = at(from, first.fromMs);
  const toMs = to.trim() === "" ? undefined : at(to, first.toMs);
  const wrong =
    text.trim() === "" || fromMs === undefined || (to.trim() !== "" && (toMs === undefined || toMs <= fromMs));
  const save = useMutation({
    mutationFn: () =>
      saveNote({ text: text.trim(), fromMs: fromMs ?? 0, ...(toMs === undefined ? {} : { toMs }) }, first.id),
    onSuccess: async () => {
      toast("Note kept");
      await client.invalidateQueries({ queryKey: ["notes"] });
      onDone();
    },
  });
  return (
    <form
      className="col"
      onSubmit={(e) => {
        e.preventDefault();
        if (!wrong) save.mutate();
      }}
    >
      <ErrorNotice error={save.error} />
      <label className="field">
        <span>What happened</span>
        <input
          className="input"
          value={text}
          maxLength={500}
          placeholder="payment 2.4.1 rolled out"
          onChange={(e) => setText(e.target.value)}
        />
      </label>
      <div className="row" style={{ alignItems: "end" }}>
        <label className="field">
          <span>When</span>
          <input
            className="input"
            value={from}
            aria-invalid={fromMs === undefined}
            onChange={(e) => setFrom(e.target.value)}
          />
        </label>
        <label className="field">
          <span>Until, for a span of time</span>
          <input
            className="input"
            value={to}
            placeholder="a moment"
            aria-invalid={to.trim() !== "" && (toMs === undefined || toMs <= (fromMs ?? 0))}
            onChange={(e) => setTo(e.target.value)}
          />
        </label>
        <button type="submit" className="btn primary" disabled={wrong || save.isPending}>
          {first.id ? "Change the note" : "Add the note"}
        </button>
      </div>
    </form>
  );
}
