/** Menus, popovers, dialogs and tabs: Radix behaviour, our look. */
import { X } from "lucide-react";
import { Dialog as RDialog, DropdownMenu, Popover as RPopover, Tabs as RTabs } from "radix-ui";
import type { ReactNode } from "react";

export function Menu({
  trigger,
  children,
  align = "end",
  onOpenChange,
}: {
  trigger: ReactNode;
  children: ReactNode;
  align?: "start" | "end";
  onOpenChange?: (open: boolean) => void;
}) {
  return (
    <DropdownMenu.Root modal={false} {...(onOpenChange ? { onOpenChange } : {})}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align={align} sideOffset={4} collisionPadding={8}>
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

export function MenuItem({
  icon,
  children,
  onSelect,
  disabled = false,
}: {
  icon?: ReactNode;
  children: ReactNode;
  onSelect: () => void;
  disabled?: boolean;
}) {
  return (
    <DropdownMenu.Item onSelect={onSelect} disabled={disabled}>
      {icon}
      <span className="cut">{children}</span>
    </DropdownMenu.Item>
  );
}

export function MenuCheck({
  checked,
  children,
  onChange,
}: {
  checked: boolean;
  children: ReactNode;
  onChange: (on: boolean) => void;
}) {
  return (
    <DropdownMenu.CheckboxItem checked={checked} onCheckedChange={onChange} onSelect={(e) => e.preventDefault()}>
      <span aria-hidden style={{ width: 12 }}>
        {checked ? "✓" : ""}
      </span>
      <span className="cut">{children}</span>
    </DropdownMenu.CheckboxItem>
  );
}

export const MenuLine = () => <hr />;
export const MenuHead = ({ children }: { children: ReactNode }) => <div className="head">{children}</div>;

export function Popover({
  trigger,
  children,
  open,
  onOpenChange,
  align = "end",
  label,
}: {
  trigger: ReactNode;
  children: ReactNode;
  open?: boolean;
  onOpenChange?: (o: boolean) => void;
  align?: "start" | "end";
  label: string;
}) {
  return (
    <RPopover.Root {...(open === undefined ? {} : { open })} {...(onOpenChange ? { onOpenChange } : {})}>
      <RPopover.Trigger asChild>{trigger}</RPopover.Trigger>
      <RPopover.Portal>
        <RPopover.Content className="popover" align={align} sideOffset={5} collisionPadding={8} aria-label={label}>
          {children}
        </RPopover.Content>
      </RPopover.Portal>
    </RPopover.Root>
  );
}

export function Dialog({
  title,
  open,
  onClose,
  children,
  wide = false,
}: {
  title: string;
  open: boolean;
  onClose: () => void;
  children: ReactNode;
  wide?: boolean;
}) {
  return (
    <RDialog.Root open={open} onOpenChange={(o) => !o && onClose()}>
      <RDialog.Portal>
        <RDialog.Overlay className="overlay" />
        <RDialog.Content className={wide ? "dialog wide" : "dialog"} aria-describedby={undefined}>
          <header>
            <RDialog.Title asChild>
              <h2>{title}</h2>
            </RDialog.Title>
            <RDialog.Close asChild>
              <button type="button" className="btn ghost icon push" aria-label="Close">
                <X size={16} />
              </button>
            </RDialog.Close>
          </header>
          {children}
        </RDialog.Content>
      </RDialog.Portal>
    </RDialog.Root>
  );
}

export interface Tab {
  id: string;
  label: ReactNode;
  content: ReactNode;
}

/** Tabs whose content is made only while shown. */
export function Tabs({
  tabs,
  value,
  onChange,
  label,
  fill = false,
}: {
  tabs: readonly Tab[];
  value: string;
  onChange: (id: string) => void;
  label: string;
  fill?: boolean;
}) {
  const current = tabs.some((t) => t.id === value) ? value : (tabs[0]?.id ?? "");
  const style = fill ? { flex: 1, minHeight: 0, display: "flex", flexDirection: "column" as const } : undefined;
  return (
    <RTabs.Root value={current} onValueChange={onChange} style={style} activationMode="manual">
      <RTabs.List className="tabs" aria-label={label}>
        {tabs.map((t) => (
          <RTabs.Trigger key={t.id} value={t.id}>
            {t.label}
          </RTabs.Trigger>
        ))}
      </RTabs.List>
      {tabs.map((t) => (
        <RTabs.Content key={t.id} value={t.id} style={t.id === current ? style : undefined}>
          {t.id === current ? t.content : null}
        </RTabs.Content>
      ))}
    </RTabs.Root>
  );
}
