/**
 * Any value from data can be clicked: filter on it, exclude it, group by it,
 * copy it, open what it names. One menu serves the whole page; the page says
 * what filtering means to it by a ValueActions provider.
 */
import { Ban, Copy, FilterIcon, Group, PanelRight, Search, Waypoints } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import { createContext, type MouseEvent, type ReactNode, useCallback, useContext, useMemo, useState } from "react";
import { findIds } from "@/lib/ids";
import { clip } from "@/lib/format";
import { href, requestHref, useGo, useOpenBeside } from "@/shell/url";
import { useRange } from "@/shell/range";
import { MenuHead, MenuItem, MenuLine } from "./overlay";
import { copy } from "./toast";

export interface Actions {
  include?: (field: string, value: string, type?: string) => void;
  exclude?: (field: string, value: string, type?: string) => void;
  groupBy?: (field: string) => void;
}

const ActionsContext = createContext<Actions>({});
export const ValueActions = ActionsContext.Provider;

interface Target {
  field: string;
  value: string;
  /** The type of an attribute: "12" of a text is not the number 12. */
  type: string | undefined;
  actions: Actions;
  carry: Record<string, string | undefined>;
  x: number;
  y: number;
}

const OpenContext = createContext<(t: Target) => void>(() => {});

/** A selector that finds a text in every log. */
export const textQuery = (text: string) => `{service_name=~".+"} |= ${JSON.stringify(text)}`;

export function ValueMenuProvider({ children }: { children: ReactNode }) {
  const [target, setTarget] = useState<Target>();
  const [open, setOpen] = useState(false);
  const show = useCallback((t: Target) => {
    setTarget(t);
    setOpen(true);
  }, []);
  return (
    <OpenContext value={show}>
      {children}
      <DropdownMenu.Root open={open} onOpenChange={setOpen} modal={false}>
        <DropdownMenu.Trigger asChild>
          <span
            aria-hidden
            tabIndex={-1}
            style={{ position: "fixed", left: target?.x ?? 0, top: target?.y ?? 0, pointerEvents: "none" }}
          />
        </DropdownMenu.Trigger>
        <DropdownMenu.Portal>
          <DropdownMenu.Content className="menu" align="start" sideOffset={6} collisionPadding={8}>
            {target && <Items target={target} />}
          </DropdownMenu.Content>
        </DropdownMenu.Portal>
      </DropdownMenu.Root>
    </OpenContext>
  );
}

function Items({ target }: { target: Target }) {
  const { field, value, type, actions, carry } = target;
  const go = useGo();
  const beside = useOpenBeside();
  const id = findIds(`${field}=${value}`)[0]?.id ?? findIds(value)[0]?.id;
  return (
    <>
      <MenuHead>
        {field && <b>{field} </b>}
        <bdi className="mono">{clip(value, 300)}</bdi>
      </MenuHead>
      {actions.include && (
        <MenuItem icon={<FilterIcon size={14} />} onSelect={() => actions.include?.(field, value, type)}>
          Only with this value
        </MenuItem>
      )}
      {actions.exclude && (
        <MenuItem icon={<Ban size={14} />} onSelect={() => actions.exclude?.(field, value, type)}>
          Without this value
        </MenuItem>
      )}
      {actions.groupBy && field && (
        <MenuItem icon={<Group size={14} />} onSelect={() => actions.groupBy?.(field)}>
          Group by {field}
        </MenuItem>
      )}
      {(actions.include ?? actions.exclude ?? actions.groupBy) && <MenuLine />}
      {id && (
        <>
          <MenuItem icon={<Waypoints size={14} />} onSelect={() => go(requestHref(id))}>
            Open the request
          </MenuItem>
          <MenuItem icon={<PanelRight size={14} />} onSelect={() => beside(requestHref(id))}>
            Open the request beside
          </MenuItem>
        </>
      )}
      {value.length < 400 && (
        <MenuItem
          icon={<Search size={14} />}
          onSelect={() => go(href("/explore/logs", { ...carry, q: textQuery(value) }))}
        >
          Find in all logs
        </MenuItem>
      )}
      <MenuItem icon={<Copy size={14} />} onSelect={() => void copy(value)}>
        Copy the value
      </MenuItem>
      {field && (
        <MenuItem icon={<Copy size={14} />} onSelect={() => void copy(`${field}=${JSON.stringify(value)}`)}>
          Copy field and value
        </MenuItem>
      )}
    </>
  );
}

/** A clickable value. */
export function Value({
  field = "",
  value,
  type,
  children,
  className = "",
}: {
  field?: string;
  value: string;
  type?: string | undefined;
  children?: ReactNode;
  className?: string;
}) {
  const actions = useContext(ActionsContext);
  const show = useContext(OpenContext);
  const { carry } = useRange();
  const onClick = (e: MouseEvent<HTMLButtonElement>) => {
    e.stopPropagation();
    const box = e.currentTarget.getBoundingClientRect();
    // A click by keyboard has no place: use the value's own.
    const at = e.detail === 0 ? { x: box.left, y: box.bottom } : { x: e.clientX, y: e.clientY };
    show({ field, value, type, actions, carry, ...at });
  };
  return (
    <button type="button" className={`value ${className}`} onClick={onClick}>
      <bdi>{children ?? (value === "" ? <span className="faint">(empty)</span> : clip(value, 4000))}</bdi>
    </button>
  );
}

/** A list of attributes. Long lists are cut; the rest is one click away. */
export function Attributes({
  list,
  limit = 60,
}: {
  list: readonly { key?: string; value?: string; type?: string }[];
  limit?: number;
}) {
  const [all, setAll] = useState(false);
  const sorted = useMemo(() => [...list].sort((a, b) => (a.key ?? "").localeCompare(b.key ?? "")), [list]);
  const shown = all ? sorted : sorted.slice(0, limit);
  return (
    <>
      <dl className="kv">
        {shown.map((a, i) => (
          <KV key={`${a.key}/${i}`} name={a.key ?? ""} value={a.value ?? ""} type={a.type} />
        ))}
      </dl>
      {shown.length < sorted.length && (
        <button type="button" className="btn small" onClick={() => setAll(true)}>
          Show {sorted.length - shown.length} more
        </button>
      )}
    </>
  );
}

function KV({ name, value, type }: { name: string; value: string; type: string | undefined }) {
  return (
    <>
      <dt>
        <bdi>{clip(name, 200)}</bdi>
      </dt>
      <dd>
        <Value field={name} value={value} type={type} />
      </dd>
    </>
  );
}
