/** The four steps of a run as the pipeline shows them. */

import type { RunState } from '@/lib/events/state';
import type { Phase } from '@/lib/events/types';

export type StageStatus = 'pending' | 'current' | 'done' | 'failed' | 'skipped';
interface Stage {
  name: string;
  status: StageStatus;
  /** `2 of 3 red`, `attempt 1 of 3`. */
  note: string;
}

const ORDER: readonly Phase[] = ['planning', 'executing', 'testing', 'fixing'];

export function stages(run: RunState | null): Stage[] {
  const names = ['Plan', 'Execute', 'Test', 'Fix → Done'];
  if (run === null) return names.map((name) => ({ name, status: 'pending', note: '' }));
  const been = new Set(run.phases.flatMap(({ from, to }) => [from, to]));
  const failedAt = run.phase === 'error' ? run.phases.at(-1)?.from : undefined;
  const furthest = Math.max(-1, ...ORDER.map((phase, index) => (been.has(phase) ? index : -1)));
  const stopped = run.outcome === 'cancelled';
  return ORDER.map((phase, index) => {
    const name = names[index] ?? phase;
    const note = noteOf(phase, run);
    if (phase === 'testing' && run.testsSkipped !== null) return { name, note, status: 'skipped' };
    if (run.phase === 'done') return { name, note, status: been.has(phase) || phase === 'fixing' ? 'done' : 'skipped' };
    if (failedAt === phase) return { name, note, status: 'failed' };
    if (run.phase === phase) return { name, note, status: stopped ? 'failed' : 'current' };
    const red = phase === 'testing' && (run.tests.at(-1)?.failed ?? 0) > 0;
    if (been.has(phase) && red) return { name, note, status: 'failed' };
    if (been.has(phase) && index <= furthest) return { name, note, status: 'done' };
    return { name, note, status: 'pending' };
  });
}

function noteOf(phase: Phase, run: RunState): string {
  switch (phase) {
    case 'planning':
      return run.plan.length > 0 ? `${run.plan.length} items` : '';
    case 'executing': {
      const done = run.plan.filter(({ status }) => status === 'done').length;
      return run.plan.length > 0 ? `${done} of ${run.plan.length} done` : '';
    }
    case 'testing': {
      const last = run.tests.at(-1);
      if (run.testsSkipped !== null) return 'skipped';
      if (last === undefined) return '';
      const result = last.failed > 0 ? `${last.failed} failed` : `${last.passed} passed`;
      return run.tests.length > 1 ? `${result}, run ${run.tests.length}` : result;
    }
    default:
      if (run.phase === 'done') return run.fixAttempts > 0 ? `fixed in ${run.fixAttempts}` : 'nothing to fix';
      return run.fixAttempts > 0 ? `attempt ${run.fixAttempts} of ${run.limits.maxFixAttempts}` : '';
  }
}
