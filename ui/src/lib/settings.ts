/**
 * What belongs to the person rather than to the link: theme, zone, tenant,
 * density. Kept in localStorage; readable outside React.
 */
import { useSyncExternalStore } from "react";
import type { Zone } from "./time";

export interface Settings {
  theme: "system" | "dark" | "light";
  zone: Zone;
  tenant: string;
  wrap: boolean;
  navOpen: boolean;
  /** Pixels of the column of names of a waterfall. */
  nameWidth: number;
}

const key = "braid.settings";
const defaults: Settings = { theme: "system", zone: "local", tenant: "", wrap: false, navOpen: true, nameWidth: 400 };

function load(): Settings {
  return { ...defaults, ...readStored<Partial<Settings>>(key, {}) };
}

/** A value of localStorage, or the fallback when it is absent, damaged or forbidden. */
export function readStored<T>(name: string, fallback: T): T {
  try {
    const text = localStorage.getItem(name);
    return text ? (JSON.parse(text) as T) : fallback;
  } catch {
    return fallback;
  }
}

export function writeStored(name: string, value: unknown) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    // A full or forbidden store loses a preference, nothing else.
  }
}

let current = load();
const listeners = new Set<() => void>();

export const settings = {
  get: () => current,
  set(change: Partial<Settings>) {
    current = { ...current, ...change };
    writeStored(key, current);
    applyTheme();
    for (const l of listeners) l();
  },
  subscribe(l: () => void) {
    listeners.add(l);
    return () => {
      listeners.delete(l);
    };
  },
};

export const useSettings = () => useSyncExternalStore(settings.subscribe, settings.get);

export function applyTheme() {
  const dark =
    current.theme === "dark" ||
    (current.theme === "system" && !window.matchMedia?.("(prefers-color-scheme: light)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}
