import { describe, expect, test } from 'vitest';
import { amount, quota, storage, workspace } from '../../test/samples';
import { barOf, barOfLine, diskOf, gpusText, showsGpus, totalUse, usedOf } from './amounts';

describe('a bar', () => {
  test('says what is used of the quota, with the unit once', () => {
    expect(barOf('Memory', amount({ used: 3_100, reserved: 6_000, quota: 8_000, total: 32_000, unit: 'MB' }))).toMatchObject({
      value: '3.1', rest: 'of 8 GB', held: '6 held', usedShare: 3_100 / 8_000, heldShare: 0.75, warn: false,
      sentence: 'Memory: 3.1 GB used, 6 GB held by limits, of your quota of 8 GB.',
    });
  });
  test('takes the machine for its whole where there is no quota', () => {
    expect(barOf('CPU', amount({ used: 1.94, reserved: 4, total: 8, unit: 'CPUs' }))).toMatchObject({
      value: '1.9', rest: 'of 8 CPUs', held: '4 held', sentence: 'CPU: 1.9 CPUs used, 4 CPUs held by limits, of the 8 CPUs of this machine.',
    });
  });
  test('has no whole where nothing is known of one', () => {
    expect(barOf('Storage', amount({ used: 512, reserved: 5_000, unit: 'MB' }))).toMatchObject({ value: '0.5', rest: 'GB', usedShare: undefined, heldShare: undefined, warn: false });
  });
  test('what the newest look saw goes before what is told', () => expect(barOf('CPU', amount({ used: 1, quota: 4, unit: 'CPUs' }), 3.5).value).toBe('3.5'));

  test.each([
    ['used of a quota', { used: 8, quota: 10 }, true],
    ['just below', { used: 7.9, quota: 10 }, false],
    ['held of a quota', { used: 0, reserved: 8, quota: 10 }, true],
    ['held of the machine, which is there to be held', { used: 0, reserved: 10, total: 10 }, false],
    ['held beyond the machine', { used: 0, reserved: 11, total: 10 }, true],
    ['a quota of nothing, with something held', { reserved: 1, quota: 0 }, true],
    ['a quota of nothing', { quota: 0 }, false],
  ])('amber: %s', (_, part, warn) => expect(barOf('x', amount(part)).warn).toBe(warn));

  test('shows a bound of the machine', () => {
    expect(barOfLine({ scope: 'host', group: '', resource: 'gpus', bound: 2, taken: 1, unit: '' })).toMatchObject({ value: '1', rest: 'of 2' });
  });
});

test.each([
  [300, 4_000, 'MB', '0.3', 'of 4 GB'], [30, 4_000, 'MB', '< 0.1', 'of 4 GB'], [0, 4_000, 'MB', '0', 'of 4 GB'],
  [312.4, 512, 'MB', '312', 'of 512 MB'], [1.44, 2, 'CPUs', '1.4', 'of 2'],
])('%d of %d %s', (used, whole, unit, value, rest) => expect(usedOf(used, whole, unit)).toEqual({ value, rest }));

test('uses add up; who has not been looked at twice counts nothing', () => {
  expect(totalUse(undefined)).toBeNull();
  expect(totalUse([{ id: 'a', cpus: 0.5, memory: 100 }, { id: 'b', cpus: null, memory: 200 }])).toEqual({ cpus: 0.5, memory: 300 });
});

test('GPUs are shown where there are any, or a quota of them', () => {
  expect(showsGpus(quota(), 0)).toBe(false);
  expect(showsGpus(quota(), 1)).toBe(true);
  expect(showsGpus(quota({ gpus: amount({ quota: 2 }) }), 0)).toBe(true);
});

describe('the disk of a row', () => {
  const at = '2026-11-12T10:00:00Z';
  test('is not known before it was measured', () => expect(diskOf(storage())).toBeUndefined());
  test('is that of the files', () => {
    expect(diskOf(storage({ volume_used: 100, volume_measured_at: at, container_used: 3_000, container_measured_at: at }))).toMatchObject({ what: 'files', used: 100 });
  });
  test('is that of the container when it is nearly full and fuller', () => {
    const fuller = { container_used: 4_000, container_measured_at: at };
    expect(diskOf(storage({ volume_used: 100, volume_measured_at: at, ...fuller }))).toMatchObject({ what: 'container', used: 4_000 });
    expect(diskOf(storage({ volume_used: 4_900, volume_measured_at: at, ...fuller }))).toMatchObject({ what: 'files' });
  });
});

test.each([
  [1, ['0'], 'GPU 0'], [2, ['0', '1'], 'GPU 0, 1'], [1, ['GPU-8a56a4bc-1f2d-4e9a-9f0b-1234567890ab'], '1 GPU'], [2, [], '2 GPUs'],
])('%d GPUs %j', (gpus, gpu_ids, text) => expect(gpusText({ compute: { ...workspace().compute, gpus }, gpu_ids })).toBe(text));
