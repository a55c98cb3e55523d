import { CodeEditor, type Monaco, type MonacoEditor } from "@grafana/ui";
import { useEffect, useRef } from "react";
import { complete, type Lists, type Suggestion } from "../lang/complete";
import { aggregations, functions, rangeFunctions } from "../lang/promql";
import type { QueryType } from "../types";

const language = "braid-query";

// Monaco's providers are global; which editor asks is told by its text model.
const editors = new Map<string, { type: QueryType; lists: Lists }>();
const registered = new WeakSet<object>();

/** The text of a query, with completion from Braid. It counts when the editor is left, and runs with Shift+Enter. */
export function CodeField({
  type,
  value,
  lists,
  onChange,
  onRun,
  lines = 3,
}: {
  type: QueryType;
  value: string;
  lists: Lists;
  onChange: (text: string) => void;
  onRun: () => void;
  lines?: number;
}) {
  const uri = useRef<string | undefined>(undefined);
  const latest = useRef({ onChange, onRun, value });
  latest.current = { onChange, onRun, value };
  useEffect(() => {
    if (uri.current) {
      editors.set(uri.current, { type, lists });
    }
  }, [type, lists]);
  useEffect(
    () => () => {
      if (uri.current) {
        editors.delete(uri.current);
      }
    },
    [],
  );
  const mounted = (editor: MonacoEditor, monaco: Monaco) => {
    uri.current = editor.getModel()?.uri.toString();
    if (uri.current) {
      editors.set(uri.current, { type, lists });
    }
    const run = () => {
      const text = editor.getValue();
      if (text !== latest.current.value) {
        latest.current.onChange(text);
      }
      latest.current.onRun();
    };
    editor.addCommand(monaco.KeyMod.Shift | monaco.KeyCode.Enter, run);
    editor.addCommand(monaco.KeyMod.CtrlCmd | monaco.KeyCode.Enter, run);
  };
  return (
    <div data-testid="braid-code" style={{ width: "100%" }}>
      <CodeEditor
        language={language}
        value={value}
        height={`${Math.max(lines, value.split("\n").length) * 19 + 12}px`}
        showMiniMap={false}
        showLineNumbers={false}
        onBeforeEditorMount={register}
        onEditorDidMount={mounted}
        onBlur={(text) => text !== value && onChange(text)}
        monacoOptions={{
          wordWrap: "on",
          folding: false,
          scrollBeyondLastLine: false,
          fixedOverflowWidgets: true,
          quickSuggestions: { other: true, strings: true, comments: false },
          lineDecorationsWidth: 4,
          overviewRulerLanes: 0,
        }}
      />
    </div>
  );
}

function register(monaco: Monaco) {
  if (registered.has(monaco)) {
    return;
  }
  registered.add(monaco);
  monaco.languages.register({ id: language });
  monaco.languages.setLanguageConfiguration(language, {
    brackets: [
      ["{", "}"],
      ["[", "]"],
      ["(", ")"],
    ],
    autoClosingPairs: [
      { open: "{", close: "}" },
      { open: "[", close: "]" },
      { open: "(", close: ")" },
      { open: '"', close: '"' },
    ],
    wordPattern: /[A-Za-z_$][\w.:-]*/,
  });
  monaco.languages.setMonarchTokensProvider(language, {
    functions: Object.keys({ ...rangeFunctions, ...aggregations, ...functions }),
    keywords: [
      "by",
      "without",
      "on",
      "from",
      "semi",
      "anti",
      "join",
      "where",
      "enrich",
      "group",
      "top",
      "bottom",
      "sort",
      "limit",
      "select",
      "and",
      "or",
      "unless",
      "traces",
      "logs",
      "exemplars",
    ],
    tokenizer: {
      root: [
        [/#.*$/, "comment"],
        [/"(?:[^"\\]|\\.)*"|`[^`]*`/, "string"],
        [/\$\{[^}]*\}|\$\w+/, "variable"],
        [/\d+(?:\.\d+)?[a-z]*/, "number"],
        [
          /[A-Za-z_][\w.:]*/,
          { cases: { "@functions": "predefined", "@keywords": "keyword", "@default": "identifier" } },
        ],
        [/[{}()[\]]/, "@brackets"],
      ],
    },
  });
  monaco.languages.registerCompletionItemProvider(language, {
    triggerCharacters: ["{", "(", "[", "|", ",", "=", '"', " ", ".", "~"],
    provideCompletionItems: async (model, position) => {
      const editor = editors.get(model.uri.toString());
      if (!editor) {
        return { suggestions: [] };
      }
      const list = await complete(editor.type, model.getValue(), model.getOffsetAt(position), editor.lists);
      const word = model.getWordUntilPosition(position);
      const range = {
        startLineNumber: position.lineNumber,
        endLineNumber: position.lineNumber,
        startColumn: word.startColumn,
        endColumn: word.endColumn,
      };
      return { suggestions: list.slice(0, 2000).map((s) => ({ ...item(monaco, s), range })) };
    },
  });
}

function item(monaco: Monaco, s: Suggestion) {
  const k = monaco.languages.CompletionItemKind;
  const kinds = {
    metric: k.Variable,
    label: k.Field,
    value: k.Value,
    function: k.Function,
    keyword: k.Keyword,
    duration: k.Unit,
  };
  return {
    label: s.label,
    insertText: s.insert ?? s.label,
    kind: kinds[s.kind],
    ...(s.detail ? { detail: s.detail } : {}),
  };
}
