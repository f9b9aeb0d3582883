import { type Build, type Group, groupOf, groups, isOver, numberOf } from './builds';

export interface News {
  text: string;
  bad: boolean;
}

/** What happened to builds between two looks, whoever did it. */
export function news(before: readonly Build[], now: readonly Build[]): readonly News[] {
  return groups(now).flatMap((group) => ofOne(groupOf(before, group.name), group));
}

function ofOne(before: Group, { name, builds, serving, underWay }: Group): News[] {
  const stays = serving ? `build ${numberOf(serving)} goes on serving` : 'none serves';
  if (serving && before.serving && serving.build !== before.serving.build) {
    const text = `${name}: build ${numberOf(serving)} serves in place of build ${numberOf(before.serving)}.`;
    return [{ text, bad: false }];
  }
  const over = builds.find(
    (one) => isOver(one) && !before.builds.some((old) => old.build === one.build && isOver(old)),
  );
  // A list that was never looked at before has no news.
  if (over && before.builds.length > 0) return [{ text: ending(over, stays), bad: over.state === 'failed' }];
  if (underWay && underWay.build !== before.underWay?.build && before.builds.length > 0) {
    return [{ text: `${name}: build ${numberOf(underWay)} is being made; ${stays}.`, bad: false }];
  }
  if (before.underWay && !underWay) {
    return [{ text: `${name}: build ${numberOf(before.underWay)} was given up; ${stays}.`, bad: false }];
  }
  return [];
}

function ending(over: Build, stays: string): string {
  const what = `${over.name}: build ${numberOf(over)}`;
  if (over.state === 'cancelled') return `${what} was cancelled; ${stays}.`;
  return `${what} failed; ${stays}. The server's log says why.`;
}
