import { useEffect, useRef } from 'react';
import { graphql } from '@/lib/graphql/gen';

export const Projections = graphql(`
  query Projections($waiting: Int!) {
    projections {
      name
      version
      releaseVersion
      build
      state
      ...BuildRow_projection
    }
    projectionQuarantine(first: $waiting) {
      edges {
        node {
          build
          position
          ...QuarantineRow_event
        }
      }
      pageInfo {
        hasNextPage
      }
    }
  }
`);

/** How many events of the quarantine are shown; when these are settled, the next ones move up. */
export const WAITING_SHOWN = 100;
/** How often the page looks. */
export const LOOK_EVERY_MS = 2_000;

/** Looks again and again while the page can be seen. */
export function useLook(look: () => void, on: boolean): void {
  const latest = useRef(look);
  useEffect(() => {
    latest.current = look;
  });
  useEffect(() => {
    if (!on) return;
    const again = () => {
      if (document.visibilityState === 'visible') latest.current();
    };
    const timer = setInterval(again, LOOK_EVERY_MS);
    document.addEventListener('visibilitychange', again);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', again);
    };
  }, [on]);
}
