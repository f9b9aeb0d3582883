import type { Problem } from '@/lib/graphql/errors';
import { newRequestId } from '@/lib/ids';

/** After these nobody knows whether it was done: asking again must be the same request. */
const UNDECIDED = new Set(['NETWORK', 'UNAVAILABLE', 'NOT_YET_VISIBLE', 'INTERNAL']);

/** Gives each order a request id that lives until the server has answered it. */
export function requestIds() {
  const held = new Map<string, string>();
  return {
    of(order: object): string {
      const key = JSON.stringify(order);
      const id = held.get(key) ?? newRequestId();
      held.set(key, id);
      return id;
    },
    answered(order: object, problem: Problem | null): void {
      if (problem === null || !UNDECIDED.has(problem.code)) held.delete(JSON.stringify(order));
    },
  };
}
