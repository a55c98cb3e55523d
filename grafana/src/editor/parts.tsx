import { css } from "@emotion/css";
import type { GrafanaTheme2 } from "@grafana/data";
import { Alert, Button, Combobox, type ComboboxOption, IconButton, Input, Stack, useStyles2 } from "@grafana/ui";
import { type ReactNode, useId } from "react";
import type { Matcher } from "../lang/matchers";

export const options = (list: readonly string[]): Array<ComboboxOption<string>> =>
  list.map((value) => ({ label: value, value }));

/** A labelled group of fields, one row of an editor. */
export function Row({ label, children, hint }: { label: string; children: ReactNode; hint?: string }) {
  const styles = useStyles2(rowStyles);
  const id = useId();
  return (
    <div className={styles.row} role="group" aria-labelledby={id}>
      <div className={styles.label} id={id} title={hint}>
        {label}
      </div>
      <div className={styles.fields}>{children}</div>
    </div>
  );
}

const rowStyles = (theme: GrafanaTheme2) => ({
  row: css({
    display: "flex",
    gap: theme.spacing(1),
    padding: theme.spacing(0.75, 1),
    background: theme.colors.background.secondary,
    borderRadius: theme.shape.radius.default,
  }),
  label: css({
    minWidth: 96,
    paddingTop: 6,
    fontSize: theme.typography.bodySmall.fontSize,
    fontWeight: theme.typography.fontWeightMedium,
    color: theme.colors.text.secondary,
  }),
  fields: css({ display: "flex", flexWrap: "wrap", gap: theme.spacing(1), flex: 1, alignItems: "center" }),
});

/** One value out of a list that is asked for when opened; other values may be typed. */
export function Choice({
  label,
  value,
  load,
  onChange,
  width = 24,
  placeholder,
}: {
  label: string;
  value: string;
  load: () => Promise<string[]>;
  onChange: (value: string) => void;
  width?: number;
  placeholder?: string;
}) {
  const find = async (typed: string) => {
    const list = await load();
    const low = typed.toLowerCase();
    return options(list.filter((v) => v.toLowerCase().includes(low)).slice(0, 1000));
  };
  return (
    <Combobox
      aria-label={label}
      options={find}
      value={value ? { label: value, value } : null}
      onChange={(v) => onChange(v.value)}
      createCustomValue
      width={width}
      placeholder={placeholder ?? label}
    />
  );
}

/** One value out of a few that are known. */
export function Pick({
  label,
  value,
  list,
  onChange,
  width = 12,
}: {
  label: string;
  value: string;
  list: readonly string[] | Record<string, string>;
  onChange: (value: string) => void;
  width?: number;
}) {
  const all: Array<ComboboxOption<string>> = Array.isArray(list)
    ? options(list)
    : Object.entries(list).map(([v, description]) => ({ label: v, value: v, description }));
  return (
    <Combobox
      aria-label={label}
      options={all.some((o) => o.value === value) ? all : [{ label: value, value }, ...all]}
      value={value}
      onChange={(v) => onChange(v.value)}
      width={width}
    />
  );
}

/** Text that counts when it is left or entered, so that no query runs for each key. */
export function Text({
  label,
  value,
  onChange,
  width = 16,
  placeholder,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  width?: number;
  placeholder?: string;
}) {
  return (
    <Input
      key={value}
      aria-label={label}
      defaultValue={value}
      placeholder={placeholder ?? label}
      width={width}
      onBlur={(e) => e.currentTarget.value !== value && onChange(e.currentTarget.value)}
      onKeyDown={(e) => e.key === "Enter" && e.currentTarget.value !== value && onChange(e.currentTarget.value)}
    />
  );
}

/** Rows of conditions on labels or attributes. */
export function Matchers({
  list,
  ops,
  labels,
  values,
  onChange,
  noun,
}: {
  list: readonly Matcher[];
  ops: readonly string[];
  labels: () => Promise<string[]>;
  values: (label: string) => Promise<string[]>;
  onChange: (list: Matcher[]) => void;
  noun: string;
}) {
  const at = (i: number, m: Partial<Matcher>) => onChange(list.map((x, k) => (k === i ? { ...x, ...m } : x)));
  return (
    <>
      {list.map((m, i) => (
        <Stack key={i} gap={0} direction="row">
          <Choice
            label={`${noun} ${i + 1}`}
            value={m.label}
            load={labels}
            onChange={(label) => at(i, { label, bare: undefined })}
            width={26}
            placeholder={noun}
          />
          <Pick label={`Comparison ${i + 1}`} value={m.op} list={ops} onChange={(op) => at(i, { op })} width={9} />
          <Choice
            label={`Value ${i + 1}`}
            value={m.value}
            load={() => (m.label ? values(m.label) : Promise.resolve([]))}
            onChange={(value) => at(i, { value })}
            placeholder="value"
          />
          <IconButton name="times" tooltip="Remove" onClick={() => onChange(list.filter((_, k) => k !== i))} />
        </Stack>
      ))}
      <Button
        variant="secondary"
        size="sm"
        icon="plus"
        onClick={() => onChange([...list, { label: "", op: ops[0] ?? "=", value: "" }])}
      >
        {noun}
      </Button>
    </>
  );
}

/** Names separated by choice: the labels of a grouping. */
export function Names({
  label,
  list,
  load,
  onChange,
}: {
  label: string;
  list: readonly string[];
  load: () => Promise<string[]>;
  onChange: (list: string[]) => void;
}) {
  return (
    <>
      {list.map((name, i) => (
        <Stack key={i} gap={0} direction="row">
          <Choice
            label={`${label} ${i + 1}`}
            value={name}
            load={load}
            onChange={(v) => onChange(list.map((x, k) => (k === i ? v : x)))}
            width={22}
          />
          <IconButton name="times" tooltip="Remove" onClick={() => onChange(list.filter((_, k) => k !== i))} />
        </Stack>
      ))}
      <Choice
        key={list.join("\n")}
        label={`${label} to add`}
        value=""
        load={load}
        onChange={(v) => onChange([...list, v])}
        width={18}
        placeholder={`+ ${label}`}
      />
    </>
  );
}

/** Says that a builder cannot show a text, which stays as it is. */
export function NotShownAlert({ reason, onCode }: { reason: string; onCode: () => void }) {
  return (
    <Alert severity="info" title="The builder cannot show this query" buttonContent="Edit the code" onRemove={onCode}>
      It runs as it is. {reason.charAt(0).toUpperCase() + reason.slice(1)}.
    </Alert>
  );
}

/** The steps of a query in words. */
export function Explanation({ steps }: { steps: readonly string[] }) {
  const styles = useStyles2((theme: GrafanaTheme2) => ({
    list: css({
      margin: 0,
      padding: theme.spacing(1, 1, 1, 4),
      fontSize: theme.typography.bodySmall.fontSize,
      color: theme.colors.text.secondary,
      background: theme.colors.background.secondary,
      borderRadius: theme.shape.radius.default,
    }),
  }));
  return (
    <ol className={styles.list} aria-label="Explanation">
      {steps.map((s) => (
        <li key={s}>{s}</li>
      ))}
    </ol>
  );
}
