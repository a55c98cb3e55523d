/** The pages. Each is its own chunk; handler.go knows the same first segments. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { Empty, ErrorNotice } from "@/parts/feedback";
import { Shell } from "@/shell/shell";
import { parseSearch, stringifySearch } from "@/shell/url";

const root = createRootRoute({
  component: Shell,
  errorComponent: ({ error, reset }) => (
    <div className="page">
      <ErrorNotice error={error} retry={reset} />
    </div>
  ),
  notFoundComponent: () => (
    <Empty title="There is no such page">
      The address names none of Braid's pages. The navigation on the left lists them all.
    </Empty>
  ),
});

const page = (path: string, load: () => Promise<{ default: React.ComponentType }>) =>
  createRoute({ getParentRoute: () => root, path, component: lazyRouteComponent(load) });

export const pages = [
  page("/", () => import("@/pages/home/home")),
  page("/explore/metrics", () => import("@/pages/metrics/metrics")),
  page("/explore/logs", () => import("@/pages/logs/logs")),
  page("/explore/traces", () => import("@/pages/traces/traces")),
  page("/request/$id", () => import("@/pages/request/request")),
  page("/compare", () => import("@/pages/compare/compare")),
  page("/map", () => import("@/pages/services/services")),
  page("/service/$name", () => import("@/pages/services/service")),
  page("/alerting", () => import("@/pages/alerts/alerts")),
  page("/dashboards", () => import("@/pages/dashboards/list")),
  page("/dashboards/$id", () => import("@/pages/dashboards/dashboard")),
  page("/status", () => import("@/pages/status/status")),
  page("/design", () => import("@/pages/design/design")),
  page("/split", () => import("@/pages/split/split")),
  page("/l/$id", () => import("@/pages/link/link")),
  page("/graph", () => import("@/pages/metrics/graph")),
];

export const router = createRouter({
  routeTree: root.addChildren(pages),
  parseSearch,
  stringifySearch,
  defaultPreload: false,
  scrollRestoration: false,
});
