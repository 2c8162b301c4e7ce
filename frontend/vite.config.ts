import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Relative addresses: the pages are found below any prefix, and in the window at its root.
  base: './',
  plugins: [react()],
  build: {
    // Small files as data: addresses would need data: fonts in the content security policy.
    assetsInlineLimit: 0,
    // public/.gitkeep keeps dist/ in the repository: emptying it must not make Go's embed fail.
    emptyOutDir: true,
    target: 'es2022',
  },
  server: { proxy: { '/api': { target: process.env.LAB_SERVER ?? 'http://127.0.0.1:8080', ws: true } } },
  test: {
    environment: 'happy-dom',
    setupFiles: ['test/setup.ts'],
    include: ['src/**/*.test.{ts,tsx}', 'test/**/*.test.{ts,tsx}'],
    // Two cores are common in pipelines; a component test beside a build must not fail for want of time.
    testTimeout: 15_000,
  },
});
