import "@/styles/tokens.css";
import "@/styles/base.css";
import "@/styles/shell.css";
import "@/styles/parts.css";
import "@/styles/charts.css";
import "@/styles/logs.css";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "@/api/http";
import { applyTheme } from "@/lib/settings";
import { router } from "./router";

// Style elements that libraries add need the nonce of this answer (handler.go).
const nonce = document.querySelector<HTMLMetaElement>('meta[name="style-nonce"]')?.content;
if (nonce) (globalThis as { __webpack_nonce__?: string }).__webpack_nonce__ = nonce;

applyTheme();
window.matchMedia("(prefers-color-scheme: light)").addEventListener("change", applyTheme);

const client = new QueryClient({
  defaultOptions: {
    queries: {
      refetchOnWindowFocus: false,
      staleTime: 10_000,
      // What was asked wrongly stays wrong; what was too much is for the user to say again.
      retry: (n, e) => n < 1 && !(e instanceof ApiError && e.status >= 400 && e.status < 503),
    },
  },
});

const host = document.getElementById("root");
if (host) {
  createRoot(host).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
}
