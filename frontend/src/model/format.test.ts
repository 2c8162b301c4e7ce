import { describe, expect, test } from 'vitest';
import { formatAgo, formatBytes, formatCpus, formatDuration, formatFiles, formatFor, formatIdle, formatMB, initialsOf } from './format';

describe('sizes', () => {
  test.each([
    [512, '512 MB'], [999, '999 MB'], [1000, '1 GB'], [1536, '1.5 GB'], [4000, '4 GB'], [4096, '4 GB'], [32_111, '32.1 GB'],
  ])('%d MB is written %s, as the server does', (mb, text) => expect(formatMB(mb)).toBe(text));

  test.each([
    [0, '0 bytes'], [1, '1 byte'], [999, '999 bytes'], [1_000, '1 kB'], [412e6, '412 MB'], [999.9e6, '1 GB'], [3.21e9, '3.2 GB'], [250e9, '250 GB'], [2e15, '2,000 TB'],
  ])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  test('one is singular', () => {
    expect([formatCpus(1), formatCpus(0.5), formatCpus(2)]).toEqual(['1 CPU', '0.5 CPUs', '2 CPUs']);
    expect([formatFiles(1), formatFiles(1284)]).toEqual(['1 file', '1,284 files']);
  });
});

describe('times', () => {
  const minute = 60_000;
  test.each([
    [-5, '0 ms'], [2, '2 ms'], [11_900, '11 s'], [26 * minute, '26 min'], [192 * minute, '3 h 12 min'], [240 * minute, '4 h'], [1440 * minute, '1 day'], [3 * 1440 * minute, '3 days'],
  ])('%d ms last %s', (length, text) => expect(formatDuration(length)).toBe(text));

  const then = '2026-11-12T10:00:00Z';
  const after = (minutes: number): number => Date.parse(then) + minutes * minute;
  test.each([
    [-1, 'just now'], [0.5, 'just now'], [26, '26 min ago'], [192, '3 h ago'], [3 * 1440, '3 days ago'],
  ])('after %d min it was %s', (minutes, text) => expect(formatAgo(then, after(minutes))).toBe(text));
  test('keeps minutes where they count up', () => expect(formatFor(then, after(192))).toBe('for 3 h 12 min'));
  test('0 seconds of idle time mean never', () => expect([formatIdle(0), formatIdle(3_600)]).toEqual(['Keep running', 'Stop after 1 h']));
});

test.each([
  ['JupyterLab', 'Ju'], ['VS Code', 'VS'], ['registry.example:5000/team/pyspark-notebook:2', 'PN'], ['rocker/rstudio@sha256:ab', 'Rs'], ['x', 'X'], ['', ''],
])('%s is shown as %s', (name, initials) => expect(initialsOf(name)).toBe(initials));
