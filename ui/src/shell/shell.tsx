/** The frame of every page: search, time, navigation. A half of a split view has a smaller frame. */
import { useQuery } from "@tanstack/react-query";
import { Outlet, useLocation } from "@tanstack/react-router";
import {
  Activity,
  Bell,
  Gauge,
  Home,
  Keyboard,
  LayoutDashboard,
  Moon,
  Network,
  PanelLeft,
  ScrollText,
  Settings2,
  Sun,
  Waypoints,
} from "lucide-react";
import { type ReactNode, useEffect } from "react";
import { rules } from "@/api/prom";
import { settings, useSettings } from "@/lib/settings";
import { Popover } from "@/parts/overlay";
import { Toasts } from "@/parts/toast";
import { ValueMenuProvider } from "@/parts/value";
import { RangeProvider, useRange } from "./range";
import { SearchBox } from "./search-box";
import { ShortcutSheet, useShortcuts } from "./shortcuts";
import { TimePicker } from "./time-picker";
import { A, embedded, href, useGo } from "./url";

interface Place {
  to: string;
  label: string;
  icon: ReactNode;
  key: string;
}

const places: Place[] = [
  { to: "/", label: "Home", icon: <Home size={17} />, key: "h" },
  { to: "/explore/metrics", label: "Metrics", icon: <Gauge size={17} />, key: "m" },
  { to: "/explore/logs", label: "Logs", icon: <ScrollText size={17} />, key: "l" },
  { to: "/explore/traces", label: "Traces", icon: <Waypoints size={17} />, key: "t" },
  { to: "/map", label: "Services", icon: <Network size={17} />, key: "s" },
  { to: "/alerting", label: "Alerts", icon: <Bell size={17} />, key: "a" },
  { to: "/dashboards", label: "Dashboards", icon: <LayoutDashboard size={17} />, key: "d" },
  { to: "/status", label: "Status", icon: <Activity size={17} />, key: "x" },
];

export function Shell() {
  return (
    <RangeProvider>
      <ValueMenuProvider>
        <Frame />
        <Toasts />
        <ShortcutSheet />
      </ValueMenuProvider>
    </RangeProvider>
  );
}

function Frame() {
  const { navOpen } = useSettings();
  const half = embedded();
  // A split view has a range in each half; a request is found whenever it was.
  const timeless = useLocation({ select: (l) => /^\/(split|request|compare)(\/|$)/.test(l.pathname) });
  return (
    <div className="shell" data-nav={navOpen ? "open" : "closed"} data-embedded={half || undefined}>
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <header className="topbar">
        {!half && (
          <A to="/" className="brand" aria-label="Braid, home">
            <img src="/favicon.svg" alt="" />
            <span>Braid</span>
          </A>
        )}
        <SearchBox />
        <div className="push" />
        {!timeless && <TimePicker />}
      </header>
      {!half && <Nav />}
      <main className="main" id="main" tabIndex={-1}>
        <Outlet />
      </main>
    </div>
  );
}

function Nav() {
  const path = useLocation({ select: (l) => l.pathname });
  const { carry } = useRange();
  const go = useGo();
  const { navOpen, theme } = useSettings();
  const firing = useFiring();
  useShortcuts(places.map((p) => ({ keys: `g ${p.key}`, what: `Go to ${p.label}`, run: () => go(href(p.to, carry)) })));
  const dark = document.documentElement.dataset.theme !== "light";
  return (
    <nav className="nav" aria-label="Pages">
      {places.map((p) => {
        const here = p.to === "/" ? path === "/" : path.startsWith(p.to);
        return (
          <A
            key={p.to}
            to={href(p.to, carry)}
            className={here ? "active" : ""}
            aria-current={here ? "page" : undefined}
            title={`${p.label}  (g ${p.key})`}
          >
            {p.icon}
            <span>{p.label}</span>
            {p.to === "/alerting" && firing > 0 && (
              <span className="badge error" title={`${firing} firing`}>
                {firing}
              </span>
            )}
          </A>
        );
      })}
      <div className="push" />
      <button
        type="button"
        onClick={() => document.dispatchEvent(new KeyboardEvent("keydown", { key: "?" }))}
        title="Keyboard  (?)"
      >
        <Keyboard size={17} />
        <span>Keyboard</span>
      </button>
      <button
        type="button"
        onClick={() => settings.set({ theme: dark ? "light" : "dark" })}
        title={theme === "system" ? "Theme: as the system" : "Theme"}
        aria-label={dark ? "Use the light theme" : "Use the dark theme"}
      >
        {dark ? <Sun size={17} /> : <Moon size={17} />}
        <span>{dark ? "Light theme" : "Dark theme"}</span>
      </button>
      <Preferences />
      <button
        type="button"
        onClick={() => settings.set({ navOpen: !navOpen })}
        aria-label={navOpen ? "Make the navigation narrow" : "Make the navigation wide"}
      >
        <PanelLeft size={17} />
        <span>Narrow</span>
      </button>
    </nav>
  );
}

function Preferences() {
  const s = useSettings();
  return (
    <Popover
      label="Preferences"
      align="start"
      trigger={
        <button type="button" aria-label="Preferences">
          <Settings2 size={17} />
          <span>Preferences</span>
        </button>
      }
    >
      <div className="col" style={{ width: 260 }}>
        <label className="field">
          <span>Theme</span>
          <select
            className="select"
            value={s.theme}
            onChange={(e) => settings.set({ theme: e.target.value as typeof s.theme })}
          >
            <option value="system">As the system</option>
            <option value="dark">Dark</option>
            <option value="light">Light</option>
          </select>
        </label>
        <label className="field">
          <span>Tenant (header X-Scope-OrgID)</span>
          <input
            className="input"
            defaultValue={s.tenant}
            placeholder="the server's default"
            onBlur={(e) => {
              if (e.target.value.trim() === s.tenant) return;
              settings.set({ tenant: e.target.value.trim() });
              window.location.reload();
            }}
          />
        </label>
      </div>
    </Popover>
  );
}

function useFiring(): number {
  const q = useQuery({
    queryKey: ["rules"],
    queryFn: ({ signal }) => rules(signal),
    refetchInterval: 30_000,
    retry: false,
  });
  return (q.data ?? []).reduce(
    (n, g) => n + g.rules.reduce((m, r) => m + (r.alerts ?? []).filter((a) => a.state === "firing").length, 0),
    0,
  );
}

/** Names the page in the tab. */
export function useTitle(title: string) {
  useEffect(() => {
    document.title = title ? `${title} · Braid` : "Braid";
  }, [title]);
}
