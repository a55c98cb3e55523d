// Writes src/lang/*.parser.ts from the Lezer grammars beside them.
// --check only compares, for CI.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { buildParserFile } from "@lezer/generator";

const dir = new URL("../src/lang/", import.meta.url).pathname;
const check = process.argv.includes("--check");
for (const file of readdirSync(dir).filter((f) => f.endsWith(".grammar"))) {
  const { parser, terms } = buildParserFile(readFileSync(dir + file, "utf8"), {
    fileName: file,
    moduleStyle: "es",
    typeScript: true,
    warn: (message) => {
      throw new Error(message);
    },
  });
  void terms; // nothing refers to nodes by number
  const target = `${dir}${file.replace(/\.grammar$/, ".parser.ts")}`;
  const text = `// Written by scripts/gen-grammars.mjs from ${file}. Do not edit.\n${parser.replace(/^\/\/.*\n/, "")}`;
  if (!check) writeFileSync(target, text);
  else if (readFileSync(target, "utf8") !== text) {
    console.error(`${target} is not what ${file} says: run npm run grammars.`);
    process.exit(1);
  }
}
