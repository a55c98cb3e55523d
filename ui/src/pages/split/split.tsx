/** Two pages side by side; both addresses are in this page's address. */
import { X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTitle } from "@/shell/shell";
import { useGo, useParams } from "@/shell/url";

/** Only pages of the program itself may stand in a half. */
const inside = (to: string | undefined) => (to && /^\/(?!\/|api\/|split)/.test(to) ? to : "/");

export default function SplitPage() {
  const [params, setParams] = useParams();
  const go = useGo();
  const left = useRef<HTMLIFrameElement>(null);
  const right = useRef<HTMLIFrameElement>(null);
  const host = useRef<HTMLDivElement>(null);
  // A frame is told where to go once; after that it goes by itself and we write down where it is.
  const [start] = useState({ left: inside(params.left), right: inside(params.right) });
  const [share, setShare] = useState(50);
  useTitle("Split");

  useEffect(() => {
    const timer = setInterval(() => {
      const at = (f: HTMLIFrameElement | null) => {
        const l = f?.contentWindow?.location;
        return l && l.href !== "about:blank" ? l.pathname + l.search : undefined;
      };
      const now = { left: at(left.current), right: at(right.current) };
      if (now.left && now.right) setParams(now, true);
    }, 700);
    const onMessage = (e: MessageEvent<{ braid?: string; to?: string }>) => {
      if (e.origin !== window.location.origin || e.data?.braid !== "beside") return;
      const other = e.source === left.current?.contentWindow ? right.current : left.current;
      other?.contentWindow?.location.assign(inside(e.data.to));
    };
    window.addEventListener("message", onMessage);
    return () => {
      clearInterval(timer);
      window.removeEventListener("message", onMessage);
    };
  }, [setParams]);

  const close = (keep: HTMLIFrameElement | null) => {
    const l = keep?.contentWindow?.location;
    go(l ? l.pathname + l.search : "/");
  };
  return (
    <div className="split" ref={host}>
      <iframe ref={left} title="Left half" src={start.left} style={{ flexBasis: `${share}%` }} />
      <div
        className="grip"
        role="separator"
        aria-label="Width of the halves"
        aria-orientation="vertical"
        aria-valuenow={Math.round(share)}
        tabIndex={0}
        onKeyDown={(e) => {
          if (e.key === "ArrowLeft") setShare(Math.max(15, share - 3));
          if (e.key === "ArrowRight") setShare(Math.min(85, share + 3));
        }}
        onPointerDown={(e) => e.currentTarget.setPointerCapture(e.pointerId)}
        onPointerMove={(e) => {
          const box = host.current?.getBoundingClientRect();
          if (e.buttons && box) setShare(Math.min(85, Math.max(15, ((e.clientX - box.left) / box.width) * 100)));
        }}
      />
      <iframe ref={right} title="Right half" src={start.right} style={{ flexBasis: `${100 - share}%` }} />
      <div style={{ position: "absolute", right: 14, bottom: 12, display: "flex", gap: 6 }}>
        <button type="button" className="btn small" onClick={() => close(left.current)}>
          <X size={12} /> Close right
        </button>
        <button type="button" className="btn small" onClick={() => close(right.current)}>
          <X size={12} /> Close left
        </button>
      </div>
    </div>
  );
}
