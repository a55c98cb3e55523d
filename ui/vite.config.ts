import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = (p: string) => fileURLToPath(new URL(p, import.meta.url));

export default defineConfig(() => {
  const target = process.env.BRAID_URL ?? "http://127.0.0.1:4320";
  return {
    plugins: [react()],
    resolve: { alias: { "@": here("./src") } },
    html: { cspNonce: "__BRAID_NONCE__" },
    build: {
      outDir: "dist/app",
      emptyOutDir: true,
      target: "es2022",
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
    },
    server: {
      proxy: Object.fromEntries(
        ["/api", "/loki", "/health", "/-/"].map((p) => [p, { target, changeOrigin: false, ws: p === "/loki" }]),
      ),
    },
    test: { environment: "node", include: ["src/**/*.test.{ts,tsx}"], globals: false },
  };
});
