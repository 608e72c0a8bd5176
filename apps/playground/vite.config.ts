/** How the page is bundled, and where `npm run dev -w apps/playground` finds a service while the page is worked on. */
import { defineConfig } from 'vite';

export default defineConfig({
  base: '/ui/',
  build: { target: 'es2023', modulePreload: false, assetsInlineLimit: 0 },
  server: { proxy: { '/v1': process.env.SLIPWAY_URL ?? 'http://127.0.0.1:8080' } },
});
