import type { Client } from '@urql/core';
import { createStore } from 'zustand/vanilla';
import type { Problem } from '@/lib/graphql/errors';
import { LOOK_EVERY_MS, Projections, WAITING_SHOWN } from '../queries';
import { groupOf } from './builds';
import { carryOut } from './carryOut';
import { inTurn } from './inTurn';

interface RebuildAll {
  /** The one that is being rebuilt; null when nothing is. */
  current: string | null;
  left: readonly string[];
  refused: readonly { name: string; problem: Problem }[];
}

/** Lives outside the page: leaving a page cancels nothing. */
export const all = createStore<RebuildAll>(() => ({ current: null, left: [], refused: [] }));

/** How often a loaded build is looked at before its turn is over: it may differ from what serves, and then it waits. */
const LOOKS_WHILE_FOLLOWING = 30;

/** Rebuilds one after another: each may take all cores and much memory. */
export async function rebuildAll(client: Client, names: readonly string[]): Promise<void> {
  if (all.getState().current !== null) return;
  all.setState({ refused: [] });
  await inTurn(names, {
    wanted: (name) => all.getState().current === null || all.getState().left.includes(name),
    begin: async (name, left) => {
      all.setState({ current: name, left });
      const problem = await carryOut(client, { kind: 'rebuild', name });
      if (problem) all.setState(({ refused }) => ({ refused: [...refused, { name, problem }] }));
      return problem === null;
    },
    ended: (name) => ended(client, name),
  });
  all.setState({ current: null, left: [] });
}

/** The one that is being rebuilt goes on. */
export function leaveTheRest(): void {
  all.setState({ left: [] });
}

export function forgetRefused(): void {
  all.setState({ refused: [] });
}

async function ended(client: Client, name: string): Promise<void> {
  for (let looks = 0; looks < LOOKS_WHILE_FOLLOWING; ) {
    const { data, error } = await client
      .query(Projections, { waiting: WAITING_SHOWN }, { requestPolicy: 'network-only' })
      .toPromise();
    // Where the server does not answer, the rebuild is taken to go on; where it refuses, nobody can be waited for.
    if (error && !error.networkError) return;
    const underWay = data && groupOf(data.projections, name).underWay;
    if (underWay === null) return;
    if (underWay?.state === 'following') looks += 1;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
