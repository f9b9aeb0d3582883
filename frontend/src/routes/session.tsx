import { getRouteApi } from '@tanstack/react-router';
import { MissionControl } from '@/features/mission';

const route = getRouteApi('/s/$sessionId');

export function SessionRoute() {
  return <MissionControl sessionId={route.useParams().sessionId} search={route.useSearch()} />;
}
