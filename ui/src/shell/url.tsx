/**
 * The URL is the state of a page. Parameters are flat text; useParams reads
 * them, setParams changes some of them, and "back" undoes the change unless it
 * replaced the entry.
 */
import { useLocation, useRouter } from "@tanstack/react-router";
import { type AnchorHTMLAttributes, type MouseEvent, useCallback, useMemo } from "react";

export type UrlParams = Record<string, string>;

export function parseSearch(search: string): UrlParams {
  return Object.fromEntries(new URLSearchParams(search));
}

export function stringifySearch(params: Record<string, unknown>): string {
  const p = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) if (v !== undefined && v !== null && v !== "") p.set(k, String(v));
  const s = p.toString();
  return s ? `?${s}` : "";
}

export const href = (path: string, params?: Record<string, unknown>) => path + stringifySearch(params ?? {});

/** The page of an id; ids may hold slashes. */
export const requestHref = (id: string, params?: Record<string, unknown>) =>
  href(`/request/${encodeURIComponent(id)}`, params);

export function useParams(): [UrlParams, (change: Record<string, string | undefined>, replace?: boolean) => void] {
  const location = useLocation();
  const router = useRouter();
  const params = useMemo(() => parseSearch(location.searchStr), [location.searchStr]);
  const set = useCallback(
    (change: Record<string, string | undefined>, replace = false) => {
      // Two changes in one event must both survive: start from what the address bar says.
      const now = router.history.location;
      const to = now.pathname + stringifySearch({ ...parseSearch(now.search), ...change });
      if (to === now.pathname + now.search) return;
      if (replace) router.history.replace(to);
      else router.history.push(to);
    },
    [router],
  );
  return [params, set];
}

/** Goes to a path of the program. */
export function useGo(): (to: string) => void {
  const router = useRouter();
  return useCallback((to: string) => router.history.push(to), [router]);
}

/** Opens a page beside this one; both keep their state in the URL. */
export function useOpenBeside(): (to: string) => void {
  const router = useRouter();
  return useCallback(
    (to: string) => {
      if (embedded()) {
        // Inside a half of a split view: the other half takes the page.
        window.parent.postMessage({ braid: "beside", to }, window.location.origin);
        return;
      }
      const now = router.history.location;
      router.history.push(href("/split", { left: now.pathname + now.search, right: to }));
    },
    [router],
  );
}

/** Whether this document is a half of a split view. */
export const embedded = () => window.parent !== window;

type Anchor = AnchorHTMLAttributes<HTMLAnchorElement> & { to: string };

/** A link within the program; shift-click opens it beside. */
export function A({ to, onClick, children, ...rest }: Anchor) {
  const go = useGo();
  const beside = useOpenBeside();
  const click = (e: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(e);
    if (e.defaultPrevented || e.metaKey || e.ctrlKey || e.button !== 0) return;
    e.preventDefault();
    if (e.shiftKey) beside(to);
    else go(to);
  };
  return (
    <a {...rest} href={to} onClick={click}>
      {children}
    </a>
  );
}
