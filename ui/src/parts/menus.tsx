/** Share and export, the same on every page. */
import { Download, Link, Link2, Terminal } from "lucide-react";
import { saveBlob, saveText, toCSV, toNDJSON } from "@/lib/export";
import { type LegendEntry, toPicture } from "@/lib/picture";
import { cssColor } from "@/lib/color";
import { asCurl, type Params } from "@/api/http";
import { shorten } from "@/api/kept";
import { stringifySearch, useParams } from "@/shell/url";
import { useRange } from "@/shell/range";
import { absoluteRange } from "@/lib/time";
import { Menu, MenuItem, MenuLine } from "./overlay";
import { copy, toast } from "./toast";

export interface Exportable {
  name: string;
  /** Made when asked for. */
  table?: () => { header: string[]; rows: (string | number)[][] };
  json?: () => unknown;
  ndjson?: () => unknown[];
  call?: { path: string; params: Params };
  /** Saves what the page draws as a picture. */
  canvas?: () => HTMLCanvasElement | null | undefined;
  /** What stands over the picture, and the names of its colours. */
  title?: string;
  legend?: () => readonly LegendEntry[];
}

export function ShareMenu({ data, small = false }: { data?: Exportable; small?: boolean }) {
  const { range } = useRange();
  const [params] = useParams();
  const place = (fixed: boolean) =>
    window.location.pathname + stringifySearch(fixed ? { ...params, ...absoluteRange(range) } : params);
  const link = (fixed: boolean) => void copy(window.location.origin + place(fixed), "Link copied");
  const short = async () => {
    try {
      // What is sent to someone must show what its sender sees: the range stands still.
      await copy(window.location.origin + (await shorten(place(true))), "Short link copied");
    } catch (e) {
      toast(e instanceof Error ? e.message : "The server made no short link");
    }
  };
  const file = data?.name ?? "braid";
  return (
    <Menu
      trigger={
        <button type="button" className={small ? "btn small ghost" : "btn"} aria-label={small ? "Export" : "Share"}>
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
      <MenuItem icon={<Link size={14} />} onSelect={() => void short()}>
        Copy short link
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
        <MenuItem
          onSelect={() => {
            const c = data.canvas?.();
            if (!c) return;
            const picture = toPicture(c, data.title ?? "", data.legend?.() ?? [], cssColor);
            picture.toBlob((b) => b && saveBlob(`${file}.png`, b));
          }}
        >
          Save as PNG
        </MenuItem>
      )}
    </Menu>
  );
}
