/**
 * Where a query is written. Works at once as a plain field; the editor with
 * colours, completion and checks takes its place when it has loaded.
 */
import { lazy, Suspense, useEffect, useState } from "react";

export type Language = "promql" | "logql" | "traceql";

export interface EditorProps {
  language: Language;
  value: string;
  onChange: (text: string) => void;
  /** Enter, or ctrl-enter when the text has lines. */
  onRun: (text: string) => void;
  label: string;
  placeholder?: string;
}

const CodeEditor = lazy(() => import("./codemirror"));

export function QueryEditor(p: EditorProps) {
  const [ready, setReady] = useState(false);
  useEffect(() => setReady(true), []);
  const plain = (
    <textarea
      aria-label={p.label}
      value={p.value}
      placeholder={p.placeholder}
      rows={1}
      spellCheck={false}
      onChange={(e) => p.onChange(e.target.value)}
      onKeyDown={(e) => {
        if (e.key === "Enter" && !e.shiftKey) {
          e.preventDefault();
          p.onRun(p.value);
        }
      }}
    />
  );
  return (
    <div className="editor" data-editor={p.language}>
      {ready ? (
        <Suspense fallback={plain}>
          <CodeEditor {...p} />
        </Suspense>
      ) : (
        plain
      )}
    </div>
  );
}
