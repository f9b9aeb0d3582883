import { expect, it } from 'vitest';
import { newRequestId } from '@/lib/ids';
import { backoff } from '@/lib/realtime/connection';
import { ago, duration, offset } from '@/lib/time/format';
import { formatNano, formatNanoShort, formatUsd } from './money';
import { count } from './text';

it('writes money exactly', () => {
  expect(formatNano(0)).toBe('$0.00');
  expect(formatNano(1_234_567_890_000)).toBe('$1,234.56789');
  expect(formatNano(-420_000)).toBe('−$0.00042');
  expect(formatUsd('-0.006417000')).toBe('−$0.006417');
  expect(formatUsd('12')).toBe('$12.00');
});

it('says that very little is very little, and never rounds it to nothing', () => {
  expect(formatNanoShort(7)).toBe('<$0.000001');
  expect(formatNanoShort(0)).toBe('$0.00');
  expect(formatNanoShort(1_995_267_000)).toBe('$1.9953');
});

it('does not take unreported for zero', () => {
  expect(count(null)).toBe('not reported');
  expect(count(0)).toBe('0');
});

it('writes time', () => {
  expect([840, 4_200, 65_000, 7_800_000].map(duration)).toEqual(['840 ms', '4.2 s', '1 m 05 s', '2 h 10 m']);
  expect(ago(0, 14_000)).toBe('14 s');
  expect(offset('2026-01-01T00:01:04.25Z', '2026-01-01T00:00:00Z')).toBe('+1:04.3');
});

it('makes request ids that are UUIDs of version 7', () => {
  expect(newRequestId()).toMatch(/^request:[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

it('waits longer after each failure, but never longer than a bound', () => {
  expect(backoff(0, () => 0.5)).toBe(250);
  expect(backoff(3, () => 0.5)).toBe(2_000);
  expect(backoff(50, () => 0.999)).toBeLessThan(22_500);
});
