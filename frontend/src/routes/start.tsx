import { getRouteApi } from '@tanstack/react-router';
import { StartPage } from '@/features/start';

const route = getRouteApi('/');

export function StartRoute() {
  return <StartPage demo={route.useSearch().demo === 1} />;
}
