/** The real editor: CodeMirror with colours, completion and checks. Loaded when a query is first shown. */
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, forceParsing, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, linter, lintKeymap } from "@codemirror/lint";
import { Compartment, EditorState, type Extension, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags as t } from "@lezer/highlight";
import { LanguageType, PromQLExtension, promQLLanguage } from "@prometheus-io/codemirror-promql";
import { useEffect, useRef } from "react";
import { ApiError, getJSON } from "@/api/http";
import { mistakeOf } from "@/lib/check";
import { withoutReferences } from "@/lib/promql";
import type { Range } from "@/lib/time";
import { isTraceMetric } from "@/lib/traceql";
import { useRange } from "@/shell/range";
import { completer, promqlCompletion } from "./completion";
import { logqlLanguage, supportFor, traceqlLanguage } from "@/lang/languages";
import type { EditorProps } from "./editor";

const theme = EditorView.theme({
  "&": { fontSize: "13px", backgroundColor: "transparent" },
  "&.cm-focused": { outline: "none" },
  ".cm-content": { fontFamily: "var(--mono)", padding: "6px 4px", caretColor: "var(--text)" },
  ".cm-line": { padding: "0 6px", lineHeight: "20px" },
  ".cm-scroller": { maxHeight: "220px" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-placeholder": { color: "var(--text-3)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground, .cm-content ::selection": {
    backgroundColor: "var(--accent-soft)",
  },
  ".cm-matchingBracket": { backgroundColor: "var(--accent-soft)" },
  ".cm-tooltip": {
    backgroundColor: "var(--raised)",
    border: "1px solid var(--line-strong)",
    borderRadius: "6px",
    color: "var(--text)",
    boxShadow: "var(--shadow)",
    zIndex: "70",
  },
  ".cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", maxHeight: "280px" },
  ".cm-tooltip-autocomplete > ul > li": { padding: "3px 8px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent-soft)", color: "var(--text)" },
  ".cm-completionDetail": { color: "var(--text-3)", fontStyle: "normal", marginLeft: "1em" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700" },
  ".cm-diagnostic": { padding: "4px 8px" },
});

const colors = syntaxHighlighting(
  HighlightStyle.define([
    { tag: [t.string, t.special(t.string)], color: "var(--code-string)" },
    { tag: [t.number, t.literal], color: "var(--code-number)" },
    { tag: [t.keyword, t.operatorKeyword, t.modifier], color: "var(--code-keyword)" },
    { tag: [t.function(t.variableName), t.macroName], color: "var(--code-function)" },
    { tag: [t.labelName, t.propertyName], color: "var(--code-name)" },
    { tag: [t.operator, t.punctuation], color: "var(--text-2)" },
    { tag: t.comment, color: "var(--text-3)" },
    { tag: t.invalid, color: "var(--error)" },
  ]),
);

/** Asks the server whether a query reads; a search of the first second of 1970 costs nothing. */
async function check(language: "logql" | "traceql", text: string): Promise<readonly Diagnostic[]> {
  if (text.trim() === "") return [];
  try {
    if (language === "logql") await getJSON("/loki/api/v1/format_query", { query: text });
    else if (isTraceMetric(text)) await getJSON("/api/metrics/query_range", { q: text, start: 1, end: 2, step: "1s" });
    else await getJSON("/api/search", { q: text, start: 1, end: 2, limit: 1 });
  } catch (e) {
    if (!(e instanceof ApiError) || e.status !== 400) return [];
    const m = mistakeOf(e.message, text);
    if (!m) return [];
    // "did you mean x?" is one click.
    const fix = m.fix;
    const actions = fix
      ? [
          {
            name: `Write ${fix}`,
            apply: (view: EditorView, from: number, to: number) =>
              view.dispatch({ changes: { from, to, insert: fix } }),
          },
        ]
      : [];
    return [{ from: m.from, to: m.to, message: m.message, severity: "error", actions }];
  }
  return [];
}

/** PromQL's own check, which lets $a and $variable stand for something. */
function promqlLint(): ReturnType<PromQLExtension["getLinter"]> {
  const inner = new PromQLExtension().getLinter();
  return {
    promQL: () => {
      const lint = inner.promQL();
      return (view) => {
        const text = view.state.doc.toString();
        if (!text.includes("$")) return lint(view);
        const plain = new EditorView({
          state: EditorState.create({
            doc: withoutReferences(text),
            extensions: [promQLLanguage(LanguageType.PromQL), EditorView.cspNonce.of(nonce())],
          }),
        });
        forceParsing(plain, text.length, 200);
        const found = lint(plain);
        plain.destroy();
        return found;
      };
    },
  };
}

function languageOf(language: EditorProps["language"], range: () => Range): Extension {
  if (language === "promql") {
    return new PromQLExtension()
      .activateCompletion(true)
      .activateLinter(true)
      .setLinter(promqlLint())
      .setComplete({ completeStrategy: promqlCompletion() })
      .asExtension();
  }
  const grammar = language === "logql" ? logqlLanguage : traceqlLanguage;
  return [
    supportFor(language),
    linter((view) => check(language, view.state.doc.toString()), { delay: 700 }),
    grammar.data.of({ autocomplete: completer(language, range) }),
  ];
}

const nonce = () => document.querySelector<HTMLMetaElement>('meta[name="style-nonce"]')?.content ?? "";

export default function CodeEditor({ language, value, onChange, onRun, label, placeholder: hint = "" }: EditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const { range } = useRange();
  const live = useRef({ onChange, onRun, range, value });
  live.current = { onChange, onRun, range, value };

  useEffect(() => {
    const el = host.current;
    if (!el) return;
    const names = new Compartment();
    const run = (v: EditorView) => {
      live.current.onRun(v.state.doc.toString());
      return true;
    };
    const v = new EditorView({
      parent: el,
      state: EditorState.create({
        doc: live.current.value,
        extensions: [
          EditorView.cspNonce.of(nonce()),
          history(),
          bracketMatching(),
          closeBrackets(),
          autocompletion({ activateOnTyping: true, maxRenderedOptions: 120, icons: false }),
          languageOf(language, () => live.current.range),
          theme,
          colors,
          placeholder(hint),
          EditorView.lineWrapping,
          names.of(EditorView.contentAttributes.of({ "aria-label": label })),
          Prec.high(keymap.of([{ key: "Mod-Enter", run }])),
          keymap.of([
            ...completionKeymap,
            { key: "Enter", run: (ev) => (ev.state.doc.lines > 1 ? false : run(ev)) },
            ...closeBracketsKeymap,
            ...historyKeymap,
            ...lintKeymap,
            ...defaultKeymap,
          ]),
          EditorView.updateListener.of((u) => {
            if (u.docChanged) live.current.onChange(u.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = v;
    return () => v.destroy();
  }, [language, label, hint]);

  // A change from outside (back, a click on a value) replaces the text.
  useEffect(() => {
    const v = view.current;
    if (v && v.state.doc.toString() !== value)
      v.dispatch({ changes: { from: 0, to: v.state.doc.length, insert: value } });
  }, [value]);

  return <div ref={host} className="grow" />;
}
