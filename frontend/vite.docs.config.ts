import { defineConfig } from 'vite';

// The page about the API is apart from the others: it is served at other addresses and must not make them larger.
export default defineConfig({
  root: 'docs',
  base: './',
  publicDir: false,
  build: {
    outDir: '../dist/docs',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: 'es2022',
    chunkSizeWarningLimit: 2_000, // all of Swagger UI
  },
});
