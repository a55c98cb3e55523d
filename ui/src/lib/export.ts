/** Putting what is shown into files and onto the clipboard. */

type Cell = string | number | boolean | null | undefined;

/** RFC 4180. A cell that a spreadsheet would run as a formula is made text. */
export function toCSV(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cell = (c: Cell) => {
    let s = c === null || c === undefined ? "" : String(c);
    if (typeof c === "string" && /^[=+\-@\t\r]/.test(s) && !/^[+-]?\d/.test(s)) s = `'${s}`;
    return /[",\r\n]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s;
  };
  return `${[header, ...rows].map((r) => r.map(cell).join(",")).join("\r\n")}\r\n`;
}

export const toNDJSON = (rows: readonly unknown[]) => rows.map((r) => `${JSON.stringify(r)}\n`).join("");

export function saveBlob(name: string, blob: Blob) {
  const url = URL.createObjectURL(blob);
  const a = document.createElement("a");
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export const saveText = (name: string, text: string, type: string) => saveBlob(name, new Blob([text], { type }));

/** Copies a text; where the clipboard is forbidden (plain HTTP) it falls back to a selection. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "offscreen";
    document.body.append(area);
    area.select();
    const ok = document.execCommand("copy");
    area.remove();
    return ok;
  }
}
