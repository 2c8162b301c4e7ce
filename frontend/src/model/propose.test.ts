import { expect, test } from 'vitest';
import { host, image, limit, quota, volume } from '../../test/samples';
import { followLimits, inputOf, nameOf, newDraft, quotaWith } from './draft';
import { labelOfSize, nameForImage, proposeName, sizesFrom } from './propose';

test.each([
  ['thesis', [], 'thesis'],
  ['thesis', ['thesis'], 'thesis-2'],
  ['thesis', ['Thesis ', 'thesis-2'], 'thesis-3'],
  ['thesis-2', ['thesis-2'], 'thesis-3'],
  ['', [], 'workspace'],
])('%j beside %j becomes %s', (wish, taken, name) => expect(proposeName(wish, taken)).toBe(name));

test.each([
  ['VS Code', 'vs-code'], ['quay.io/jupyter/scipy-notebook:latest', 'scipy-notebook'], ['Übung', 'übung'], ['!', ''],
])('an image %s gives the name %s', (image, name) => expect(nameForImage(image)).toBe(name));

test('sizes surround the default and stay within the limits', () => {
  const limits = { cpus: limit({ default: 1, max: 3 }), memory: limit({ default: 2_000, max: 8_000 }) };
  expect(sizesFrom(limits).map(labelOfSize)).toEqual([
    'Small · 0.5 CPUs · 1 GB', 'Medium · 1 CPU · 2 GB', 'Large · 2 CPUs · 4 GB', 'Extra large · 3 CPUs · 8 GB',
  ]);
});

test('sizes keep to the choices and are never offered twice', () => {
  const limits = { cpus: limit({ default: 1, max: 2, choices: [1, 2] }), memory: limit({ default: 2_000, max: 4_000, choices: [2_000, 4_000] }) };
  expect(sizesFrom(limits).map(({ cpus, memory }) => [cpus, memory])).toEqual([[1, 2_000], [2, 4_000]]);
});

test('a draft asks for the default image, a kept volume and a name nobody has', () => {
  const draft = newDraft([image({ default: false, image: 'b', name: 'B' }), image()], host().limits, { anyImage: false, volume: volume() });
  expect(nameOf(draft, ['old'])).toBe('old-2');
  expect(inputOf(draft, ['old'])).toEqual({
    display_name: 'old-2', container_image: 'lab-workspace-minimal:latest', profile: 'workspace-minimal', compute: { cpus: 1, memory: 2_000, shm: 0, processes: 4_096 },
    storage: { volume: 'ws-old-vol', volume_size: 5_000, container_size: 5_000 }, idle_timeout: 0,
  });
});

test('numbers that nobody touched follow the limits of another kind of image', () => {
  const before = host().limits;
  const after = { ...before, memory: limit({ default: 4_000, unit: 'MB' }), cpus: limit({ default: 2 }) };
  const draft = { ...newDraft([image()], before, { anyImage: false, volume: undefined }), cpus: 3 };
  expect(followLimits(draft, before, after)).toMatchObject({ cpus: 3, memory: 4_000 });
});

test('what would be held is what is held and the draft', () => {
  const draft = { ...newDraft([image()], host().limits, { anyImage: false, volume: undefined }), memory: 2_000 };
  expect(quotaWith(quota(), draft).memory).toMatchObject({ reserved: 6_000, total: 32_000 });
});

test('any image leaves it to the server to find out its profile', () => {
  const draft = { ...newDraft([image()], host().limits, { anyImage: true, volume: undefined }), anyImage: ' a/b:1 ' };
  expect(inputOf(draft, [])).toMatchObject({ display_name: 'b', container_image: 'a/b:1' });
  expect(inputOf(draft, [])).not.toHaveProperty('profile');
});
