import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router';
import { ledgerSearch, missionRouteSearch, startSearch } from '@/routes/search';
import { Failure, NotFound } from './Failure';
import { Root } from './Root';

const root = createRootRoute({ component: Root, notFoundComponent: NotFound, errorComponent: Failure });

const start = createRoute({
  getParentRoute: () => root,
  path: '/',
  validateSearch: startSearch,
  component: lazyRouteComponent(() => import('@/routes/start'), 'StartRoute'),
});
const session = createRoute({
  getParentRoute: () => root,
  path: '/s/$sessionId',
  validateSearch: missionRouteSearch,
  component: lazyRouteComponent(() => import('@/routes/session'), 'SessionRoute'),
});
const ledger = createRoute({
  getParentRoute: () => root,
  path: '/ledger',
  validateSearch: ledgerSearch,
  component: lazyRouteComponent(() => import('@/routes/ledger'), 'LedgerRoute'),
});
const projections = createRoute({
  getParentRoute: () => root,
  path: '/admin/projections',
  component: lazyRouteComponent(() => import('@/routes/projections'), 'ProjectionsRoute'),
});

export const router = createRouter({
  routeTree: root.addChildren([start, session, ledger, projections]),
  defaultPreload: 'intent',
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
