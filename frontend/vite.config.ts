import { fileURLToPath } from 'node:url';
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

/** Where `npm run dev` finds GraphQL: a Daybook server, or the fake one (`npm run fake`). */
const server = process.env.DAYBOOK_SERVER ?? 'http://127.0.0.1:6813';
const proxied = { target: server, changeOrigin: false };

export default defineConfig({
  plugins: [react(), tailwindcss()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  build: { target: 'es2023', manifest: true, chunkSizeWarningLimit: 700, assetsInlineLimit: 0 },
  server: {
    port: 5173,
    proxy: { '/graphql': { ...proxied, ws: true }, '/signin': proxied },
  },
  test: { include: ['src/**/*.test.ts', 'src/**/*.test.tsx'], environment: 'node' },
});
