import type { Client, CombinedError } from '@urql/core';
import { type Problem, problemOf } from '@/lib/graphql/errors';
import { graphql } from '@/lib/graphql/gen';
import type { FullOrder } from './orders';
import { requestIds } from './requestIds';

const ProjectionRebuild = graphql(`
  mutation ProjectionRebuild($input: ProjectionRebuildInput!) {
    projectionRebuild(input: $input) {
      name
    }
  }
`);
const ProjectionRebuildCancel = graphql(`
  mutation ProjectionRebuildCancel($input: ProjectionRebuildChangeInput!) {
    projectionRebuildCancel(input: $input) {
      cancelled
    }
  }
`);
const ProjectionRebuildUndo = graphql(`
  mutation ProjectionRebuildUndo($input: ProjectionRebuildChangeInput!) {
    projectionRebuildUndo(input: $input) {
      name
    }
  }
`);
const QuarantineRetry = graphql(`
  mutation QuarantineRetry($input: QuarantineRetryInput!) {
    quarantineRetry(input: $input) {
      standing
    }
  }
`);
const QuarantineSkip = graphql(`
  mutation QuarantineSkip($input: QuarantineSkipInput!) {
    quarantineSkip(input: $input) {
      standing
    }
  }
`);

type OneOrder = Exclude<FullOrder, { kind: 'rebuildAll' }>;

/** An order that was carried out and came to nothing. */
const cameToNothing = (code: string, message: string): Problem => ({ code, message, unsent: false });
const ids = requestIds();

/** Asks the server; answers what is wrong, or null. The same order after a lost answer is the same request. */
export async function carryOut(client: Client, order: OneOrder): Promise<Problem | null> {
  const problem = await ask(client, order, ids.of(order));
  ids.answered(order, problem);
  return problem;
}

async function ask(client: Client, order: OneOrder, requestId: string): Promise<Problem | null> {
  const { name } = order;
  switch (order.kind) {
    case 'rebuild':
    case 'resume':
    case 'accept': {
      const input = { requestId, name, acceptDifference: order.kind === 'accept' };
      return problemIn(await client.mutation(ProjectionRebuild, { input }).toPromise());
    }
    case 'cancel': {
      const answer = await client.mutation(ProjectionRebuildCancel, { input: { requestId, name } }).toPromise();
      const none = answer.data?.projectionRebuildCancel.cancelled === false;
      return none ? cameToNothing('CONFLICT', 'Nothing is being rebuilt any more.') : problemIn(answer);
    }
    case 'undo':
      return problemIn(await client.mutation(ProjectionRebuildUndo, { input: { requestId, name } }).toPromise());
    case 'retry': {
      const input = { requestId, projection: name, position: order.position };
      const answer = await client.mutation(QuarantineRetry, { input }).toPromise();
      return answer.data?.quarantineRetry.standing ? stillStanding() : problemIn(answer);
    }
    case 'skip': {
      const input = { requestId, projection: name, position: order.position, reason: order.reason };
      const answer = await client.mutation(QuarantineSkip, { input }).toPromise();
      return answer.data?.quarantineSkip.standing ? stillStanding() : problemIn(answer);
    }
  }
}

function stillStanding(): Problem {
  return cameToNothing(
    '',
    'The order is recorded, and the event still cannot be taken in. What is behind it goes on waiting.',
  );
}

function problemIn({ error }: { error?: CombinedError }): Problem | null {
  return error ? problemOf(error) : null;
}
