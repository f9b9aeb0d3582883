import { earlierKept, type Group } from './builds';

export type Action = 'rebuild' | 'cancel' | 'resume' | 'accept' | 'undo';

interface Seen {
  /** The newest build that was rebuilt, as far as its progress is known. */
  newest: number | null;
  /** Nothing has been heard of the build under way for a while. */
  still: boolean;
}

/**
 * What an administrator can do about a projection. A build of which nothing is heard may have been left by a process
 * that is gone, or differ from what serves and wait; whether somebody works on it, the server knows and says.
 */
export function offered(group: Group, { newest, still }: Seen): readonly Action[] {
  const known = group.builds.some(({ releaseVersion }) => releaseVersion != null);
  if (!known) return [];
  if (group.underWay === null) return earlierKept(group, newest) ? ['rebuild', 'undo'] : ['rebuild'];
  if (!still) return ['cancel'];
  return group.underWay.state === 'following' ? ['cancel', 'resume', 'accept'] : ['cancel', 'resume'];
}
