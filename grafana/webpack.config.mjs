// The front end of the plugin as one AMD module: Grafana loads it with its own
// loader, and gives it its own copies of the packages named here.
import { resolve } from "node:path";
import webpack from "webpack";

const root = import.meta.dirname;
const shared = [
  "@emotion/css",
  "@emotion/react",
  "@grafana/data",
  "@grafana/i18n",
  "@grafana/runtime",
  "@grafana/ui",
  "lodash",
  "moment",
  "react",
  "react-dom",
  "react-router",
  "rxjs",
  "rxjs/operators",
];

export default {
  mode: "production",
  target: "web",
  context: resolve(root, "src"),
  entry: { module: "./module.ts" },
  output: {
    path: resolve(root, "dist"),
    filename: "[name].js",
    library: { type: "amd" },
    // Set by Grafana when the plugin is loaded.
    publicPath: "public/plugins/braid-datasource/",
    uniqueName: "braid-datasource",
  },
  externals: shared,
  resolve: { extensions: [".tsx", ".ts", ".js"] },
  module: {
    rules: [
      {
        test: /\.tsx?$/,
        loader: "esbuild-loader",
        options: {
          target: "es2022",
          tsconfigRaw: { compilerOptions: { jsx: "react", useDefineForClassFields: true } },
        },
      },
    ],
  },
  // Elements are made by Grafana's own React, whichever it has: the runtime of the
  // newer transform is not in every Grafana.
  plugins: [new webpack.ProvidePlugin({ React: "react" })],
  devtool: "source-map",
  performance: {
    maxAssetSize: 300_000,
    maxEntrypointSize: 300_000,
    hints: "error",
    assetFilter: (name) => name.endsWith(".js"),
  },
};
