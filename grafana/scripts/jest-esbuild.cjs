// Jest's transform: types away, modules to CommonJS.
const { transformSync } = require("esbuild");

module.exports = {
  process(source, path) {
    const loader = path.endsWith("x") ? (path.endsWith(".tsx") ? "tsx" : "jsx") : /\.m?ts$/.test(path) ? "ts" : "js";
    return transformSync(source, {
      loader,
      format: "cjs",
      target: "es2022",
      jsx: "automatic",
      sourcemap: "inline",
      sourcefile: path,
    });
  },
};
