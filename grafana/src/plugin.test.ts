import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import manifest from "./plugin.json";

// What Grafana's reference of plugin.json asks of a data source.
const known = new Set([
  ...["$schema", "alerting", "annotations", "backend", "category", "dependencies", "executable", "id", "includes"],
  ...["info", "logs", "metrics", "name", "queryOptions", "routes", "state", "streaming", "tracing", "type"],
]);

test("plugin.json is what Grafana reads", () => {
  expect(Object.keys(manifest).filter((k) => !known.has(k))).toEqual([]);
  expect(manifest.id).toMatch(/^[0-9a-z]+-([0-9a-z]+-)?datasource$/);
  expect(manifest.type).toBe("datasource");
  expect(["tsdb", "logging", "cloud", "tracing", "profiling", "sql", "enterprise", "iot", "other"]).toContain(
    manifest.category,
  );
  expect(manifest.dependencies.grafanaDependency).toMatch(/^(<=|>=|<|>|=|~|\^)?[0-9]+(\.[0-9x*]+)(\.[0-9x*]+)?$/);
  expect(manifest.info.keywords.length).toBeGreaterThan(0);
  expect(manifest.info.version).toBe("%VERSION%");
  expect(manifest.info.updated).toBe("%TODAY%");
  for (const logo of Object.values(manifest.info.logos)) {
    expect(existsSync(resolve(process.cwd(), "src", logo))).toBe(true);
  }
  // Alerting needs a backend, and a backend its program.
  expect(manifest).toMatchObject({ alerting: true, backend: true, executable: "gpx_braid_datasource" });
});

test("packages of Grafana have one version, and a licence that may be linked", () => {
  const read = (name: string) => JSON.parse(readFileSync(resolve(process.cwd(), name), "utf8"));
  const { dependencies } = read("package.json");
  const grafana = Object.keys(dependencies).filter((n) => n.startsWith("@grafana/"));
  expect(grafana.length).toBe(5);
  for (const name of grafana) {
    const { license, version } = read(`node_modules/${name}/package.json`);
    expect([name, version, license]).toEqual([name, dependencies["@grafana/data"], "Apache-2.0"]);
  }
  const lock = read("package-lock.json") as { packages: Record<string, { license?: string; resolved?: string }> };
  const odd = Object.entries(lock.packages).filter(([, p]) => /AGPL|(^|[^L])GPL/.test(p.license ?? "") || p.resolved);
  expect(odd).toEqual([]);
});
