// A page with the editors of the plugin, as it was built for Grafana: the module
// gets the packages that Grafana would give it.
import * as emotionCss from "@emotion/css";
import * as grafanaData from "@grafana/data";
import * as grafanaRuntime from "@grafana/runtime";
import * as grafanaUi from "@grafana/ui";
import * as React from "react";
import { createRoot } from "react-dom/client";
import * as rxjs from "rxjs";
import { Answer } from "./answer";
import { settings, setServices } from "./grafana";

const packages: Record<string, unknown> = {
  "@emotion/css": emotionCss,
  "@grafana/data": grafanaData,
  "@grafana/runtime": grafanaRuntime,
  "@grafana/ui": grafanaUi,
  react: React,
  rxjs,
};

/** Loads an AMD module the way that Grafana's loader does. */
async function load(url: string): Promise<{ plugin: grafanaData.DataSourcePlugin<never, never, never> }> {
  const code = await (await fetch(url)).text();
  let out: unknown;
  const define = (names: string[], make: (...args: unknown[]) => unknown) => {
    out = make(
      ...names.map((n) => {
        if (!(n in packages)) {
          throw new Error(`Grafana gives no package ${n}`);
        }
        return packages[n];
      }),
    );
  };
  Object.assign(define, { amd: {} });
  new Function("define", code)(define);
  return out as never;
}

const params = new URLSearchParams(location.search);
const view = params.get("view") ?? "query";
const theme = grafanaData.createTheme({ colors: { mode: params.get("theme") === "light" ? "light" : "dark" } });
const now = Date.now();
const range = grafanaData.makeTimeRange(grafanaData.dateTime(now - 45 * 60_000), grafanaData.dateTime(now));

setServices({ service: "checkout", several: ["cart", "payment"] });
// biome-ignore lint/suspicious/noExplicitAny: the module is loaded, not imported
const { plugin } = (await load("/public/plugins/braid-datasource/module.js")) as any;
const datasource = new plugin.DataSourceClass(settings);

function QueryPage() {
  const [query, setQuery] = React.useState(() => ({
    refId: "A",
    ...plugin.DataSourceClass.prototype.getDefaultQuery.call(datasource, "explore"),
    ...JSON.parse(params.get("query") ?? "{}"),
  }));
  const [answer, setAnswer] = React.useState<grafanaData.DataQueryResponse | undefined>();
  const latest = React.useRef(query);
  latest.current = query;
  const run = () =>
    // After the change that came with it has been seen.
    setTimeout(() => {
      const request = {
        app: "explore",
        requestId: `r${Math.random()}`,
        interval: "10s",
        intervalMs: 10_000,
        maxDataPoints: 300,
        range,
        scopedVars: {},
        startTime: Date.now(),
        targets: [latest.current],
        timezone: "utc",
      };
      datasource.query(request).subscribe({
        next: setAnswer,
        error: (e: unknown) => setAnswer({ data: [], errors: [{ message: String(e) }] }),
      });
    });
  const Editor = plugin.components.QueryEditor;
  return (
    <>
      <Editor
        datasource={datasource}
        query={query}
        range={range}
        app="explore"
        onChange={(q: never) => {
          latest.current = q;
          setQuery(q);
        }}
        onRunQuery={run}
      />
      <pre hidden data-testid="query">
        {JSON.stringify(query)}
      </pre>
      {answer && <Answer answer={answer} range={range} theme={theme} />}
    </>
  );
}

function VariablePage() {
  const Editor = datasource.variables.editor;
  const [query, setQuery] = React.useState(JSON.parse(params.get("query") ?? '{"kind":"services"}'));
  const [values, setValues] = React.useState<string[]>([]);
  React.useEffect(() => {
    const asked = datasource.variables.query({
      targets: [query],
      scopedVars: {},
      range,
      requestId: "v",
      interval: "10s",
      intervalMs: 10_000,
      startTime: 0,
    });
    asked.subscribe((r: grafanaData.DataQueryResponse) => setValues(r.data.map((v) => v.text)));
  }, [query]);
  return (
    <>
      <Editor datasource={datasource} query={query} range={range} onChange={setQuery} onRunQuery={() => undefined} />
      <p style={{ marginTop: 16 }}>Preview of values</p>
      <grafanaUi.Stack wrap="wrap" gap={1}>
        {values.slice(0, 30).map((v) => (
          <grafanaUi.Tag key={v} name={v} />
        ))}
      </grafanaUi.Stack>
      <pre hidden data-testid="values">
        {JSON.stringify(values)}
      </pre>
    </>
  );
}

function ConfigPage() {
  const Editor = plugin.components.ConfigEditor;
  const [options, setOptions] = React.useState({
    ...settings,
    url: "",
    basicAuth: false,
    basicAuthUser: "",
    secureJsonFields: {},
    ...JSON.parse(params.get("options") ?? "{}"),
  });
  return (
    <>
      <Editor options={options} onOptionsChange={setOptions} />
      <pre hidden data-testid="options">
        {JSON.stringify(options)}
      </pre>
    </>
  );
}

const pages: Record<string, React.FC> = { query: QueryPage, variable: VariablePage, config: ConfigPage };
const Page = pages[view] ?? QueryPage;

createRoot(document.getElementById("root") as HTMLElement).render(
  <grafanaData.ThemeContext.Provider value={theme}>
    <grafanaUi.GlobalStyles />
    <div
      style={{ padding: 16, minHeight: "100vh", background: theme.colors.background.primary }}
      className={`theme-${theme.isDark ? "dark" : "light"}`}
    >
      <Page />
    </div>
    <grafanaUi.PortalContainer />
  </grafanaData.ThemeContext.Provider>,
);
