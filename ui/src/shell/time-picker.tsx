/** The time range of the page: typed, preset, moved, zoomed; and how often it refreshes. */
import { ChevronDown, ChevronLeft, ChevronRight, Clock, RefreshCw, ZoomOut } from "lucide-react";
import { useIsFetching } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { Menu, MenuCheck, Popover } from "@/parts/overlay";
import { settings, useSettings } from "@/lib/settings";
import {
  absoluteRange,
  describeRange,
  formatTime,
  parseRange,
  presets,
  type RawRange,
  shiftRange,
  zoomRange,
} from "@/lib/time";
import { useRange } from "./range";
import { useShortcuts } from "./shortcuts";

const refreshes = [0, 5, 10, 30, 60, 300];

export function TimePicker() {
  const { raw, range, setRaw, refresh, nowMs } = useRange();
  const { zone } = useSettings();
  const [open, setOpen] = useState(false);
  useShortcuts([
    { keys: "t", what: "Choose a time range", run: () => setOpen(true) },
    { keys: "r", what: "Refresh", run: refresh },
    { keys: "[", what: "Earlier", run: () => setRaw(shiftRange(range, -0.5)) },
    { keys: "]", what: "Later", run: () => setRaw(shiftRange(range, 0.5)) },
    { keys: "-", what: "Zoom out", run: () => setRaw(zoomRange(range, 2)) },
  ]);
  const choose = (r: RawRange) => {
    setOpen(false);
    setRaw(r);
  };
  return (
    <div className="row" style={{ gap: 6, flex: "none" }}>
      <div className="group">
        <button
          type="button"
          className="btn icon hide-narrow"
          aria-label="Earlier"
          title="Earlier  ["
          onClick={() => setRaw(shiftRange(range, -0.5))}
        >
          <ChevronLeft size={15} />
        </button>
        <Popover
          label="Time range"
          open={open}
          onOpenChange={setOpen}
          trigger={
            <button
              type="button"
              className="btn"
              title={`${formatTime(range.fromMs, zone, 0)} – ${formatTime(range.toMs, zone, 0)}`}
            >
              <Clock size={14} /> {describeRange(raw, zone, nowMs)}{" "}
              <span className="faint hide-narrow">{zone === "utc" ? "UTC" : ""}</span>
              <ChevronDown size={13} />
            </button>
          }
        >
          <RangeForm choose={choose} />
        </Popover>
        <button
          type="button"
          className="btn icon hide-narrow"
          aria-label="Later"
          title="Later  ]"
          onClick={() => setRaw(shiftRange(range, 0.5))}
        >
          <ChevronRight size={15} />
        </button>
        <button
          type="button"
          className="btn icon hide-narrow"
          aria-label="Zoom out"
          title="Zoom out  -"
          onClick={() => setRaw(zoomRange(range, 2))}
        >
          <ZoomOut size={14} />
        </button>
      </div>
      <Refresh />
    </div>
  );
}

function RangeForm({ choose }: { choose: (r: RawRange) => void }) {
  const { range, nowMs, raw } = useRange();
  const { zone } = useSettings();
  const [text, setText] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const parsed = text ? parseRange(text, nowMs) : undefined;
  useEffect(() => field.current?.focus(), []);
  return (
    <div className="row" style={{ alignItems: "flex-start", gap: 16, width: "min(560px, 90vw)" }}>
      <form
        className="col grow"
        onSubmit={(e) => {
          e.preventDefault();
          if (parsed) choose(parsed);
          else field.current?.focus();
        }}
      >
        <label className="field">
          <span>Type a range</span>
          <input
            ref={field}
            className="input"
            value={text}
            onChange={(e) => setText(e.target.value)}
            placeholder="last 2h, yesterday 14:00-15:00"
          />
        </label>
        <p className="small muted" aria-live="polite" style={{ minHeight: 36 }}>
          {parsed
            ? describeRange(parsed, zone, nowMs)
            : text
              ? "This does not read as a range."
              : "Also: 90m, today, 2026-11-20 10:00 to 11:00, now-6h to now-3h, an epoch time."}
        </p>
        <div className="row">
          <button type="submit" className="btn primary" disabled={!parsed}>
            Apply
          </button>
          <button
            type="button"
            className="btn"
            onClick={() => choose(absoluteRange(range))}
            title="Keep exactly what is shown now"
          >
            Make absolute
          </button>
        </div>
        <fieldset className="row">
          <legend className="small muted">Time zone</legend>
          {(["local", "utc"] as const).map((z) => (
            <label key={z} className="check">
              <input type="radio" name="zone" checked={zone === z} onChange={() => settings.set({ zone: z })} />
              {z === "utc" ? "UTC" : `Local (${Intl.DateTimeFormat().resolvedOptions().timeZone})`}
            </label>
          ))}
        </fieldset>
      </form>
      <ul style={{ flex: "none" }}>
        {presets.map((p) => (
          <li key={p.label}>
            <button
              type="button"
              className="btn ghost small"
              data-on={p.range.from === raw.from && p.range.to === raw.to}
              onClick={() => choose(p.range)}
            >
              {p.label}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Refresh() {
  const { refresh, every, setEvery } = useRange();
  const busy = useIsFetching() > 0;
  return (
    <div className="group">
      <button type="button" className="btn icon" aria-label="Refresh" title="Refresh  r" onClick={refresh}>
        <RefreshCw size={14} style={busy ? { opacity: 0.5 } : undefined} />
      </button>
      <Menu
        trigger={
          <button type="button" className="btn hide-narrow" aria-label="Refresh every" style={{ padding: "0 6px" }}>
            {every ? `${every}s` : ""} <ChevronDown size={13} />
          </button>
        }
      >
        {refreshes.map((s) => (
          <MenuCheck key={s} checked={every === s} onChange={() => setEvery(s)}>
            {s ? `Every ${s < 60 ? `${s} s` : `${s / 60} m`}` : "Off"}
          </MenuCheck>
        ))}
      </Menu>
    </div>
  );
}
