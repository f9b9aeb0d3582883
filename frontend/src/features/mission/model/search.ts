/** What the URL of Mission Control holds. */
import { KINDS, type Kind } from '@/lib/events/kinds';

const TABS = ['chat', 'activity', 'work'] as const;
export type Tab = (typeof TABS)[number];

export interface MissionSearch {
  tab?: Tab;
  kind?: Kind;
  q?: string;
  /** The event in the inspector. */
  ev?: string;
  /** The file in the inspector. */
  file?: string;
}

export function missionSearch(given: Record<string, unknown>): MissionSearch {
  // The router reads `?q=404` as a number.
  const text = (key: string) => {
    const value = given[key];
    return (typeof value === 'string' && value !== '') || typeof value === 'number' ? String(value) : undefined;
  };
  return {
    tab: TABS.find((tab) => tab === given.tab),
    kind: KINDS.find((kind) => kind === given.kind),
    q: text('q'),
    ev: text('ev'),
    file: text('file'),
  };
}
