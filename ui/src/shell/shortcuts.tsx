/** Keys that work everywhere; '?' lists them. A page adds its own with useShortcuts. */
import { useEffect, useRef, useState } from "react";
import { Dialog } from "@/parts/overlay";

export interface Shortcut {
  keys: string;
  what: string;
  run: () => void;
}

const active = new Set<{ current: readonly Shortcut[] }>();

/** Whether a key press is somebody's typing. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable ||
    /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) ||
    target.closest("[role=menu],[role=dialog]") !== null
  );
}

export function useShortcuts(list: readonly Shortcut[]) {
  const ref = useRef(list);
  ref.current = list;
  useEffect(() => {
    active.add(ref);
    return () => {
      active.delete(ref);
    };
  }, []);
}

/** The key as the list writes it: "?", "/", "j", "g l" for two in a row. */
function keyOf(e: KeyboardEvent): string | undefined {
  if (e.ctrlKey || e.metaKey || e.altKey) return undefined;
  return e.key.length === 1 ? e.key : e.key === "Escape" ? "Esc" : e.key;
}

export function ShortcutSheet() {
  const [open, setOpen] = useState(false);
  useEffect(() => {
    let first = "";
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onKey = (e: KeyboardEvent) => {
      const key = keyOf(e);
      if (!key || e.defaultPrevented || isTyping(e.target)) return;
      if (key === "?") {
        e.preventDefault();
        setOpen(true);
        return;
      }
      const all = [...active].reverse().flatMap((r) => r.current);
      const hit = all.find((s) => s.keys === (first ? `${first} ${key}` : key)) ?? all.find((s) => s.keys === key);
      const starts = !first && all.some((s) => s.keys.startsWith(`${key} `));
      clearTimeout(timer);
      first = "";
      if (starts && !hit) {
        first = key;
        timer = setTimeout(() => {
          first = "";
        }, 1200);
      }
      if (hit) {
        e.preventDefault();
        hit.run();
      }
    };
    document.addEventListener("keydown", onKey);
    return () => {
      document.removeEventListener("keydown", onKey);
      clearTimeout(timer);
    };
  }, []);
  const rows = open ? [...active].flatMap((r) => r.current) : [];
  return (
    <Dialog title="Keyboard" open={open} onClose={() => setOpen(false)}>
      <table className="table">
        <tbody>
          {rows.map((s) => (
            <tr key={s.keys + s.what}>
              <td style={{ width: 110 }}>
                {s.keys.split(" ").map((k) => (
                  <kbd key={k} style={{ marginRight: 4 }}>
                    {k}
                  </kbd>
                ))}
              </td>
              <td>{s.what}</td>
            </tr>
          ))}
          <tr>
            <td>
              <kbd>?</kbd>
            </td>
            <td>This list</td>
          </tr>
        </tbody>
      </table>
    </Dialog>
  );
}
