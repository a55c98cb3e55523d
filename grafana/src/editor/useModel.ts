import { useState } from "react";
import type { Shown } from "../lang/lexer";

/**
 * Holds the model of a builder beside the text of the query. The text is what
 * counts; the model also keeps what is no text yet, a row without a label. A
 * text that came from elsewhere (the code editor, an undo) is read again.
 */
export function useModel<T>(
  text: string,
  parse: (text: string) => Shown<T>,
  render: (model: T) => string,
  onText: (text: string) => void,
) {
  const [seen, setSeen] = useState(text);
  const [held, setHeld] = useState(() => ({ text, shown: parse(text) }));
  if (text !== seen) {
    setSeen(text);
    if (text !== held.text) {
      setHeld({ text, shown: parse(text) });
    }
  }
  const change = (model: T) => {
    const next = render(model);
    setHeld({ text: next, shown: { model } });
    if (next !== text) {
      onText(next);
    }
  };
  return { shown: held.shown, change };
}
