/** The search parameters of each route. The router needs them before a page is loaded. */
export { missionSearch as missionRouteSearch } from '@/features/mission/model/search';

export function startSearch(given: Record<string, unknown>): { demo?: 1 } {
  return Number(given.demo) === 1 ? { demo: 1 } : {};
}

export function ledgerSearch(given: Record<string, unknown>): { memo?: boolean } {
  return given.memo === true ? { memo: true } : {};
}
