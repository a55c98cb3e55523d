// Builds the front end and lays out dist/ as Grafana loads it. The backend's
// programs are put beside by make.
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { promisify } from "node:util";
import webpack from "webpack";
import config from "../webpack.config.mjs";

const root = resolve(import.meta.dirname, "..");
const dist = resolve(root, "dist");

for (const old of ["module.js", "module.js.map", "module.js.LICENSE.txt", "plugin.json", "img"]) {
  await rm(resolve(dist, old), { recursive: true, force: true });
}
const compiler = webpack(config);
const stats = await promisify(compiler.run.bind(compiler))();
await promisify(compiler.close.bind(compiler))();
console.log(
  stats.toString({ preset: "errors-warnings", colors: false }) || `module.js: ${stats.toJson().assets[0].size} bytes`,
);
if (stats.hasErrors()) {
  process.exit(1);
}

const { version } = JSON.parse(await readFile(resolve(root, "package.json"), "utf8"));
const built = process.env.SOURCE_DATE_EPOCH ? new Date(Number(process.env.SOURCE_DATE_EPOCH) * 1000) : new Date();
const manifest = await readFile(resolve(root, "src/plugin.json"), "utf8");
await writeFile(
  resolve(dist, "plugin.json"),
  manifest.replace("%VERSION%", version).replace("%TODAY%", built.toISOString().slice(0, 10)),
);
await mkdir(resolve(dist, "img"), { recursive: true });
await copyFile(resolve(root, "src/img/logo.svg"), resolve(dist, "img/logo.svg"));
for (const [from, to] of [
  ["PLUGIN.md", "README.md"],
  ["CHANGELOG.md", "CHANGELOG.md"],
  ["../LICENSE", "LICENSE"],
]) {
  await copyFile(resolve(root, from), resolve(dist, to));
}
