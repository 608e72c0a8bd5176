import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{shared,services,cli,tests,bench,apps}/**/*.test.ts'],
    // Engines are real processes on few cores: two files at once keep timings honest.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    coverage: {
      include: ['shared/**/*.ts', 'services/**/*.ts'],
      exclude: ['**/*.test.ts', '**/testing/**'],
      reporter: ['text-summary', 'html'],
    },
  },
});
