/** Places for the services of a map: callers to the left of whom they call. */
export interface Edge {
  from: string;
  to: string;
}

export interface Placed {
  name: string;
  column: number;
  row: number;
}

/**
 * Columns by the longest way from a service that nobody calls; a call that
 * closes a circle does not count. Within a column, services stand near those
 * that call them.
 */
export function layoutMap(
  names: readonly string[],
  edges: readonly Edge[],
): { placed: Map<string, Placed>; columns: number; rows: number } {
  const known = new Set(names);
  const out = new Map<string, string[]>();
  const into = new Map<string, string[]>();
  for (const n of names) {
    out.set(n, []);
    into.set(n, []);
  }
  for (const e of edges) {
    if (e.from === e.to || !known.has(e.from) || !known.has(e.to)) continue;
    out.get(e.from)!.push(e.to);
  }
  // Depth first: an edge to a service on the current way is left out.
  const state = new Map<string, 1 | 2>();
  const order: string[] = [];
  const visit = (start: string) => {
    const stack: { name: string; next: number }[] = [{ name: start, next: 0 }];
    state.set(start, 1);
    while (stack.length) {
      const top = stack[stack.length - 1]!;
      const kids = out.get(top.name)!;
      if (top.next >= kids.length) {
        state.set(top.name, 2);
        order.push(top.name);
        stack.pop();
        continue;
      }
      const kid = kids[top.next++]!;
      const s = state.get(kid);
      if (s === 1) continue;
      into.get(kid)!.push(top.name);
      if (s === undefined) {
        state.set(kid, 1);
        stack.push({ name: kid, next: 0 });
      }
    }
  };
  const called = new Set(edges.filter((e) => e.from !== e.to).map((e) => e.to));
  const sorted = [...names].sort();
  for (const n of [...sorted.filter((x) => !called.has(x)), ...sorted]) if (!state.has(n)) visit(n);

  const column = new Map<string, number>();
  for (const n of order.toReversed()) column.set(n, Math.max(0, ...into.get(n)!.map((p) => (column.get(p) ?? 0) + 1)));
  const columns = [...column.values()].reduce((n, c) => Math.max(n, c), 0) + 1;
  const placed = new Map<string, Placed>();
  const byColumn: string[][] = Array.from({ length: columns }, () => []);
  for (const n of sorted) byColumn[column.get(n)!]!.push(n);
  let rows = 1;
  for (const [c, here] of byColumn.entries()) {
    const near = (n: string) => {
      const above = into.get(n)!.map((p) => placed.get(p)?.row ?? 0);
      return above.length ? above.reduce((a, b) => a + b, 0) / above.length : 0;
    };
    here.sort((a, b) => near(a) - near(b) || a.localeCompare(b));
    for (const [row, name] of here.entries()) placed.set(name, { name, column: c, row });
    rows = Math.max(rows, here.length);
  }
  return { placed, columns, rows };
}
