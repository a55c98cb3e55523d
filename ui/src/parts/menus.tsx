/** Share and export, the same on every page. */
import { Download, Link2, Terminal } from "lucide-react";
import { saveBlob, saveText, toCSV, toNDJSON } from "@/lib/export";
import { asCurl, type Params } from "@/api/http";
import { stringifySearch, useParams } from "@/shell/url";
import { useRange } from "@/shell/range";
import { absoluteRange } from "@/lib/time";
import { Menu, MenuItem, MenuLine } from "./overlay";
import { copy } from "./toast";

export interface Exportable {
  name: string;
  /** Made when asked for. */
  table?: () => { header: string[]; rows: (string | number)[][] };
  json?: () => unknown;
  ndjson?: () => unknown[];
  call?: { path: string; params: Params };
  /** Saves what the page draws as a picture. */
  canvas?: () => HTMLCanvasElement | null | undefined;
}

export function ShareMenu({ data, small = false }: { data?: Exportable; small?: boolean }) {
  const { range } = useRange();
  const [params] = useParams();
  const link = (fixed: boolean) => {
    const abs = absoluteRange(range);
    const search = stringifySearch(fixed ? { ...params, ...abs } : params);
    void copy(window.location.origin + window.location.pathname + search, "Link copied");
  };
  const file = data?.name ?? "braid";
  return (
    <Menu
      trigger={
        <button type="button" className={small ? "btn small ghost" : "btn"}>
          <Download size={small ? 13 : 14} /> <span className="hide-narrow">{small ? "Export" : "Share"}</span>
        </button>
      }
    >
      <MenuItem icon={<Link2 size={14} />} onSelect={() => link(false)}>
        Copy link
      </MenuItem>
      <MenuItem icon={<Link2 size={14} />} onSelect={() => link(true)}>
        Copy link with this moment's time range
      </MenuItem>
      {data?.call && (
        <MenuItem
          icon={<Terminal size={14} />}
          onSelect={() => data.call && void copy(asCurl(data.call.path, data.call.params), "curl command copied")}
        >
          Copy as curl
        </MenuItem>
      )}
      {data && <MenuLine />}
      {data?.table && (
        <MenuItem
          onSelect={() => {
            const t = data.table?.();
            if (t) saveText(`${file}.csv`, toCSV(t.header, t.rows), "text/csv");
          }}
        >
          Save as CSV
        </MenuItem>
      )}
      {data?.json && (
        <MenuItem onSelect={() => saveText(`${file}.json`, JSON.stringify(data.json?.(), null, 2), "application/json")}>
          Save as JSON
        </MenuItem>
      )}
      {data?.ndjson && (
        <MenuItem onSelect={() => saveText(`${file}.ndjson`, toNDJSON(data.ndjson?.() ?? []), "application/x-ndjson")}>
          Save as NDJSON
        </MenuItem>
      )}
      {data?.canvas && (
        <MenuItem onSelect={() => data.canvas?.()?.toBlob((b) => b && saveBlob(`${file}.png`, b))}>
          Save as PNG
        </MenuItem>
      )}
    </Menu>
  );
}
