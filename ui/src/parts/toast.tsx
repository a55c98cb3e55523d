/** Short confirmations that go away by themselves. */
import { useSyncExternalStore } from "react";
import { copyText } from "@/lib/export";

let list: { id: number; text: string }[] = [];
let serial = 0;
const listeners = new Set<() => void>();

function publish(next: typeof list) {
  list = next;
  for (const l of listeners) l();
}

export function toast(text: string) {
  const id = ++serial;
  publish([...list.slice(-3), { id, text }]);
  setTimeout(() => publish(list.filter((t) => t.id !== id)), 4000);
}

export async function copy(text: string, what = "Copied") {
  toast((await copyText(text)) ? what : "The browser forbids the clipboard on this page.");
}

const subscribe = (l: () => void) => {
  listeners.add(l);
  return () => listeners.delete(l);
};

export function Toasts() {
  const toasts = useSyncExternalStore(subscribe, () => list);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {toasts.map((t) => (
        <div key={t.id} className="toast">
          {t.text}
        </div>
      ))}
    </div>
  );
}
