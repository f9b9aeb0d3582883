/** What the builds of a projection mean together. The server lists all but those that are kept for an undo. */

export interface Build {
  name: string;
  version: number;
  /** The version that the server would build; null where it knows no such projection. */
  releaseVersion?: number | null;
  /** The schema of its tables: `timeline_v2_b3` is the third build. */
  build: string;
  state: string;
}

export interface Group<B extends Build = Build> {
  name: string;
  builds: readonly B[];
  serving: B | null;
  /** The one that is to serve; there is at most one. */
  underWay: B | null;
  /** Without those that came to nothing before the present one began to serve. */
  shown: readonly B[];
}

export function numberOf({ build }: Pick<Build, 'build'>): number {
  return Number(/_b(\d+)$/.exec(build)?.[1] ?? 0);
}

/** Whether it came to nothing. */
export function isOver({ state }: Pick<Build, 'state'>): boolean {
  return state === 'failed' || state === 'cancelled';
}

/** One group a projection, in the order of the list. */
export function groups<B extends Build>(list: readonly B[]): readonly Group<B>[] {
  const names = [...new Set(list.map(({ name }) => name))];
  return names.map((name) => groupOf(list, name));
}

export function groupOf<B extends Build>(list: readonly B[], name: string): Group<B> {
  const builds = list.filter((one) => one.name === name);
  const serving = builds.find(({ state }) => state === 'serving') ?? null;
  const underWay = builds.find(({ state }) => state === 'rebuilding' || state === 'following') ?? null;
  const newest = Math.max(0, ...builds.filter(isOver).map(numberOf));
  const isNews = (one: B) => numberOf(one) === newest && (serving === null || newest > numberOf(serving));
  return { name, builds, serving, underWay, shown: builds.filter((one) => !isOver(one) || isNews(one)) };
}

/**
 * Whether a build is kept to go back to. Builds are counted from 1, and a switch keeps the one before it. Where the first
 * serves again, the one that it took the place of is the number that is missing; `newest` is the newest that was rebuilt.
 */
export function earlierKept({ builds, serving }: Group, newest: number | null): boolean {
  if (serving === null) return false;
  if (numberOf(serving) > 1) return true;
  const listed = new Set(builds.map(numberOf));
  return listed.size < Math.max(newest ?? 0, ...listed);
}
