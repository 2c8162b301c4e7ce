import { defineConfig } from 'vitest/config';

// The real thing: the program, Docker, Chromium. One file after the other, since workspaces share two cores.
export default defineConfig({
  test: {
    include: ['e2e/**/*.e2e.ts'],
    environment: 'node',
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
