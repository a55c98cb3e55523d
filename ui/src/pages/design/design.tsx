/** Every part of the visual system on one page: DESIGN.md, drawn. */
import { Copy, Play } from "lucide-react";
import { type ReactNode, useState } from "react";
import { levels } from "@/api/loki";
import { bytes, count, duration, percent } from "@/lib/format";
import { seriesVar } from "@/lib/series";
import { TimeChart } from "@/parts/chart";
import { QueryEditor } from "@/parts/editor";
import { AddToDashboard } from "@/parts/add-to-dashboard";
import { Empty, ErrorNotice, Infos, Loading, Notice, Warnings } from "@/parts/feedback";
import { Heatmap, HeatScale, toHeat } from "@/parts/heatmap";
import { Histogram } from "@/parts/histogram";
import { JsonTree } from "@/parts/json";
import { HowToSend } from "@/parts/how-to-send";
import { Legend } from "@/parts/legend";
import { ShareMenu } from "@/parts/menus";
import { Notes } from "@/parts/notes";
import { Cost, Progress, type Run } from "@/parts/progress";
import { SavedMenu } from "@/parts/saved";
import { Spark } from "@/parts/spark";
import { Dialog, Menu, MenuCheck, MenuHead, MenuItem, MenuLine, Popover, Tabs } from "@/parts/overlay";
import { Ago, LevelMark, levelColor, RequestLink, Service, StateBadge, Time } from "@/parts/show";
import { Table } from "@/parts/table";
import { toast } from "@/parts/toast";
import { Attributes, Value } from "@/parts/value";
import { useTitle } from "@/shell/shell";

const still: Run = { running: false, cancelled: false, ms: 0, cancel: () => {}, again: () => {} };
const range = { fromMs: 1_763_640_000_000, toMs: 1_763_643_600_000 };
const wave = (phase: number, scale: number) =>
  Array.from(
    { length: 120 },
    (_, i) =>
      [range.fromMs + i * 30_000, scale * (2 + Math.sin(i / 12 + phase) + 0.3 * Math.sin(i * 1.7 + phase))] as const,
  );
const lines = Array.from({ length: 8 }, (_, i) => ({
  name: `series ${i + 1}`,
  color: seriesVar(i),
  points: wave(i, 1 + i / 3),
}));
const heat = toHeat(
  Array.from({ length: 12 }, (_, r) => ({
    bound: 0.001 * 2 ** r,
    points: Array.from(
      { length: 60 },
      (_, i) =>
        [
          range.fromMs + i * 60_000,
          Math.max(0, Math.round(40 * Math.exp(-((r - 5 - 2 * Math.sin(i / 9)) ** 2) / 4))),
        ] as const,
    ),
  })),
  60_000,
);
const colours = [
  "bg",
  "surface",
  "raised",
  "hover",
  "line",
  "line-strong",
  "text",
  "text-2",
  "text-3",
  "accent",
  "accent-solid",
  "accent-soft",
  "ok",
  "warn",
  "error",
  "ok-soft",
  "warn-soft",
  "error-soft",
];

export default function DesignPage() {
  useTitle("Design");
  const [tab, setTab] = useState("a");
  const [open, setOpen] = useState(false);
  const [on, setOn] = useState(true);
  const [text, setText] = useState("sum by (service_name) (rate(http_server_request_duration_seconds_count[5m]))");
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  return (
    <div className="page">
      <div className="page-head">
        <h1>Design</h1>
        <span className="muted">Every part, in this theme. Switch the theme to see the other.</span>
      </div>
      <Part title="Colour tokens">
        <div className="row wrap">
          {colours.map((c) => (
            <Swatch key={c} name={c} />
          ))}
        </div>
        <h3>Series: told apart by colour-blind people; never for status</h3>
        <div className="row wrap">
          {Array.from({ length: 8 }, (_, i) => (
            <Swatch key={i} name={`series-${i + 1}`} />
          ))}
        </div>
        <h3>Severity and heat</h3>
        <div className="row wrap">
          {levels.map((l) => (
            <Swatch key={l} name={`lv-${l}`} />
          ))}
          {[0, 1, 2, 3, 4].map((i) => (
            <Swatch key={i} name={`heat-${i}`} />
          ))}
        </div>
      </Part>
      <Part title="Type">
        <h1>Page title, 20</h1>
        <h2>Section title, 15</h2>
        <h3>Panel title, 13</h3>
        <p>Body, 13. Quiet and dense.</p>
        <p className="muted small">Second voice, 12.</p>
        <p className="mono">Data and code, 12: 4bf92f3577b34da6a3ce929d0e0e4736</p>
      </Part>
      <Part title="Controls">
        <div className="row wrap">
          <button type="button" className="btn primary">
            <Play size={14} /> Primary
          </button>
          <button type="button" className="btn" onClick={() => toast("A short confirmation")}>
            Toast
          </button>
          <button type="button" className="btn danger">
            Danger
          </button>
          <button type="button" className="btn ghost">
            Ghost
          </button>
          <button type="button" className="btn" disabled>
            Disabled
          </button>
          <button type="button" className="btn" aria-pressed={on} onClick={() => setOn(!on)}>
            Toggle
          </button>
          <button type="button" className="btn icon" aria-label="Copy">
            <Copy size={14} />
          </button>
          <span className="group">
            <button type="button" className="btn small" aria-pressed>
              One
            </button>
            <button type="button" className="btn small">
              Two
            </button>
          </span>
          <input className="input" placeholder="Input" aria-label="Input" />
          <select className="select" aria-label="Select">
            <option>Select</option>
          </select>
          <label className="check">
            <input type="checkbox" checked={on} onChange={() => setOn(!on)} /> Check
          </label>
          <Menu
            trigger={
              <button type="button" className="btn">
                Menu
              </button>
            }
          >
            <MenuHead>Head</MenuHead>
            <MenuItem icon={<Copy size={14} />} onSelect={() => toast("Chosen")}>
              Item
            </MenuItem>
            <MenuLine />
            <MenuCheck checked={on} onChange={setOn}>
              Checked item
            </MenuCheck>
          </Menu>
          <Popover
            label="Example"
            trigger={
              <button type="button" className="btn">
                Popover
              </button>
            }
          >
            <p>Small forms live here.</p>
          </Popover>
          <button type="button" className="btn" onClick={() => setOpen(true)}>
            Dialog
          </button>
          <kbd>/</kbd>
        </div>
        <Dialog title="Dialog" open={open} onClose={() => setOpen(false)}>
          <p>For what needs an answer before going on.</p>
        </Dialog>
        <QueryEditor language="promql" label="Query" value={text} onChange={setText} onRun={setText} />
        <Tabs
          label="Tabs"
          value={tab}
          onChange={setTab}
          tabs={[
            { id: "a", label: "First", content: <p style={{ padding: 8 }}>Content is made only while it is shown.</p> },
            { id: "b", label: "Second", content: <p style={{ padding: 8 }}>Another.</p> },
          ]}
        />
      </Part>
      <Part title="Quantities: one way for each">
        <dl className="kv">
          <dt>Time</dt>
          <dd>
            <Time ms={range.fromMs} /> <Ago ms={range.fromMs} nowMs={range.fromMs + 185_000} />
          </dd>
          <dt>Duration</dt>
          <dd>{[850, 12_300, 4_560_000, 1_234_000_000, 125e9].map(duration).join("   ")}</dd>
          <dt>Bytes</dt>
          <dd>{[512, 1536, 7.4e6, 3.2e9].map(bytes).join("   ")}</dd>
          <dt>Counts and shares</dt>
          <dd>
            {[7, 1234, 45_600, 7_800_000].map(count).join("   ")} {percent(0.034)}
          </dd>
          <dt>Ids</dt>
          <dd>
            <RequestLink id="4bf92f3577b34da6a3ce929d0e0e4736" />
          </dd>
          <dt>Service</dt>
          <dd>
            <Service name="checkout" /> <Service name="cart" /> <Service name="payment" />
          </dd>
          <dt>State</dt>
          <dd>
            <StateBadge state="healthy" /> <StateBadge state="degraded" /> <StateBadge state="unhealthy" />{" "}
            <StateBadge state="firing" /> <StateBadge state="pending" /> <StateBadge state="unset" />
          </dd>
          <dt>Severity</dt>
          <dd>
            {levels.map((l) => (
              <span key={l} style={{ borderLeft: `3px solid ${levelColor(l)}`, paddingLeft: 5, marginRight: 10 }}>
                <LevelMark level={l} />
              </span>
            ))}
          </dd>
          <dt>Any value</dt>
          <dd>
            <Value field="http.route" value="/api/checkout/{id}" /> (click it)
          </dd>
          <dt>Hostile values</dt>
          <dd>
            <Value field="x" value={'<script>alert("x")</script>'} />{" "}
            <Value field="y" value={"\u202Eright to left\u202C"} />
          </dd>
        </dl>
      </Part>
      <Part title="Loading, errors, emptiness">
        <div data-example>
          <Loading on />
        </div>
        <Notice>Something worth knowing.</Notice>
        <Notice kind="ok">It worked.</Notice>
        <Notice kind="warn">Part ingester-2 does not answer: results are partial.</Notice>
        <ErrorNotice error={new Error('parse error at 1:12: unexpected "}" in query')} retry={() => toast("Again")} />
        <Warnings list={["Part ingester-2 does not answer: data to 12:01"]} />
        <Infos list={["the metric might not be a counter"]} />
        <Empty title="Nothing matches">An empty page says what to do next.</Empty>
        <HowToSend signal="logs" />
      </Part>
      <Part title="Queries: while they run, when they were ended, what they took">
        <div className="panel" data-example style={{ minHeight: 40 }}>
          <Progress run={{ ...still, running: true, ms: 4200 }} />
        </div>
        <Progress run={{ ...still, cancelled: true, ms: 4200 }} />
        <div className="cost">
          <span>12 series</span>
          <Cost run={still} spent={{ ms: 120, bytes: 1_572_864, rows: 3400 }} />
        </div>
        <div className="row wrap">
          <Notes />
          <AddToDashboard type="line" queries={[{ language: "promql", expr: text }]} />
          <SavedMenu page="metrics" query={text} onPick={setText} />
          <ShareMenu data={{ name: "design", json: () => lines, ndjson: () => lines }} />
        </div>
      </Part>
      <Part title="Charts">
        <TimeChart
          label="Eight series"
          lines={lines}
          range={range}
          stepMs={30_000}
          unit="s"
          hidden={hidden}
          height={220}
          levels={[6]}
          marks={[{ ms: range.fromMs + 1_800_000, label: "deploy 1.4.2" }]}
          dots={[
            {
              ms: range.fromMs + 900_000,
              value: 4,
              id: "4bf92f3577b34da6a3ce929d0e0e4736",
              labels: { trace_id: "4bf92f3577b34da6a3ce929d0e0e4736", user_id: "u-17" },
            },
          ]}
          onZoom={() => toast("Zoom")}
        />
        <Legend lines={lines} hidden={hidden} onHidden={setHidden} unit="s" />
        <Histogram
          label="Histogram"
          range={range}
          startMs={range.fromMs}
          stepMs={60_000}
          buckets={60}
          stacks={levels.slice(1, 5).map((l, s) => ({
            name: l,
            color: levelColor(l),
            counts: Array.from({ length: 60 }, (_, i) => Math.round((s + 1) ** 3 * (1.3 + Math.sin(i / 5 + s)))),
          }))}
          onZoom={() => toast("Zoom")}
        />
        <Heatmap
          data={heat}
          range={range}
          format={(v) => duration(v * 1e9)}
          label="Heatmap"
          onSelect={() => toast("Region")}
        />
        <div className="row wrap">
          <HeatScale data={heat} unit="spans a cell" />
          <span className="row small muted">
            A trend in a row <Spark points={wave(0, 1)} />
          </span>
        </div>
      </Part>
      <Part title="Tables and trees">
        <Table
          label="Table"
          rows={["checkout", "cart", "payment"].map((name, i) => ({ name, rate: 12.5 * (i + 1), errors: i * 0.03 }))}
          rowKey={(r) => r.name}
          initial={{ id: "rate", desc: true }}
          columns={[
            { id: "name", head: "Service", cell: (r) => <Service name={r.name} />, sort: (r) => r.name },
            { id: "rate", head: "Requests/s", num: true, cell: (r) => count(r.rate), sort: (r) => r.rate },
            { id: "errors", head: "Errors", num: true, cell: (r) => percent(r.errors), sort: (r) => r.errors },
          ]}
        />
        <JsonTree value={{ order: { id: "ord-4711", total: 12.5, paid: true, items: ["socks", null] } }} />
        <Attributes
          list={[
            { key: "http.route", value: "/cart" },
            { key: "user.id", value: "u-17" },
            { key: "empty", value: "" },
          ]}
        />
      </Part>
    </div>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="panel">
      <header>
        <h2>{title}</h2>
      </header>
      <div className="body col">{children}</div>
    </section>
  );
}

function Swatch({ name }: { name: string }) {
  return (
    <span className="row" style={{ gap: 6, width: 150 }}>
      <i
        style={{
          width: 28,
          height: 22,
          borderRadius: 4,
          background: `var(--${name})`,
          border: "1px solid var(--line)",
        }}
      />
      <code>{name}</code>
    </span>
  );
}
