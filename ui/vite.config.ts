import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// `--mode shots` builds the same pages over scripted states, for pictures; only `build` is ever shipped.
export default defineConfig(({ mode }) => ({
  plugins: [svelte()],
  resolve: {
    conditions: ['browser'],
    alias: mode === 'shots' ? [{ find: './ipc/connect', replacement: '/src/ipc/fake/connect.ts' }] : [],
  },
  build: {
    // WebKitGTK of Debian 12 and everything newer.
    target: 'safari16',
    outDir: mode === 'shots' ? 'dist-shots' : 'dist',
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: { input: ['index.html', 'approval.html'] },
  },
  test: { environment: 'happy-dom', include: ['src/**/*.test.ts'] },
}));
