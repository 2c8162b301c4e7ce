import { describe, expect, test } from 'vitest';
import { dark, light } from './theme';

/** WCAG 2.2: how much one colour stands out from another, 1 to 21. */
function contrast(a: string, b: string): number {
  const [brighter, darker] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (brighter + 0.05) / (darker + 0.05);
}

function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5]
    .map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

describe.each([['light', light], ['dark', dark]] as const)('the %s look', (_, colours) => {
  test('what limits hold stands out from what is free, and what is used from what is held', () => {
    expect(contrast(colours.held, colours.track)).toBeGreaterThanOrEqual(3);
    expect(contrast(colours.held, colours.surface)).toBeGreaterThanOrEqual(3);
    expect(contrast(colours.held, colours.paper)).toBeGreaterThanOrEqual(3);
    expect(contrast(colours.use, colours.held)).toBeGreaterThanOrEqual(2);
  });
  test.each(['run', 'busy', 'warn', 'fail', 'off', 'ink', 'ink2', 'ink3', 'accent'] as const)('%s can be read', (name) => {
    for (const ground of [colours.paper, colours.surface]) expect(contrast(colours[name], ground)).toBeGreaterThanOrEqual(4.5);
  });
});
