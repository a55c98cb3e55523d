// Writes src/api/generated.ts from the OpenAPI 2 document of the native API.
// --check only compares, for CI.
import { readFileSync, writeFileSync } from "node:fs";

const source = new URL("../../proto/braid/v1/braid.swagger.json", import.meta.url);
const target = new URL("../src/api/generated.ts", import.meta.url);
const doc = JSON.parse(readFileSync(source, "utf8"));

const name = (ref) =>
  ref
    .replace("#/definitions/", "")
    .replace(/^v1/, "")
    .replace(/^(rpc|protobuf)(?=[A-Z])/, "$1");

function type(s) {
  if (s.$ref) return name(s.$ref);
  if (s.type === "array") return `${type(s.items)}[]`;
  if (s.enum) return s.enum.map((e) => JSON.stringify(e)).join(" | ");
  if (s.type === "object" || s.additionalProperties) {
    return s.additionalProperties ? `Record<string, ${type(s.additionalProperties)}>` : "Record<string, unknown>";
  }
  return { string: "string", boolean: "boolean", integer: "number", number: "number" }[s.type] ?? "unknown";
}

function comment(text, indent) {
  if (!text) return "";
  const lines = text.trim().split("\n");
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`;
  return `${indent}/**\n${lines.map((l) => `${indent} * ${l}`.trimEnd()).join("\n")}\n${indent} */\n`;
}

let out = "// Written by scripts/gen-types.mjs from proto/braid/v1/braid.swagger.json. Do not edit.\n";
out += "// 64-bit integers are strings in JSON. A field that has its zero value may be absent.\n\n";
for (const [key, def] of Object.entries(doc.definitions)) {
  if (/^(googlerpc|rpc|protobuf)/.test(key)) continue;
  out += comment(def.description, "");
  out += `export interface ${name(key)} {\n`;
  for (const [field, s] of Object.entries(def.properties ?? {})) {
    out += comment(s.description ?? s.title, "  ");
    out += `  ${/^\w+$/.test(field) ? field : JSON.stringify(field)}?: ${type(s)};\n`;
  }
  out += "}\n\n";
}
out = `${out.trimEnd()}\n`;

if (process.argv.includes("--check")) {
  if (readFileSync(target, "utf8") !== out) {
    console.error("src/api/generated.ts is not what proto/braid/v1/braid.swagger.json says: run npm run types.");
    process.exit(1);
  }
} else writeFileSync(target, out);
