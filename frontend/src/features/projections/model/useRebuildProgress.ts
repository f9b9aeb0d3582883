import { useEffect, useState } from 'react';
import { graphql } from '@/lib/graphql/gen';
import { follow } from '@/lib/realtime/follow';
import type { Progress } from './format';

const RebuildProgress = graphql(`
  subscription RebuildProgress($name: String!) {
    projectionRebuildProgress(name: $name) {
      name
      version
      build
      phase
      eventsDone
      eventsTotal
      eventsPerSecond
      percent
      etaSeconds
    }
  }
`);

/** How long it is followed at first and after its end: the present state comes at once, the last one within this. */
const HELD_MS = 3_000;

interface Followed {
  /** Of the newest rebuild, which may be over; null where there was none. */
  progress: Progress | null;
  /** When something was heard last. */
  heardAt: number;
}

interface Wish {
  name: string;
  /** Whether the server would tell. */
  allowed: boolean;
  /** Whether there is something to follow. */
  on: boolean;
}

/** Follows the newest rebuild of a projection. `onPhase` is called when it comes to another phase. */
export function useRebuildProgress({ name, allowed, on }: Wish, onPhase: () => void): Followed {
  const [followed, setFollowed] = useState<Followed>(() => ({ progress: null, heardAt: Date.now() }));
  const held = useHeld(on);
  const wanted = allowed && held;
  useEffect(() => {
    if (!wanted) return;
    setFollowed(({ progress }) => ({ progress, heardAt: Date.now() }));
    let before: string | null = null;
    return follow({
      document: RebuildProgress,
      variables: () => ({ name }),
      onData: ({ projectionRebuildProgress: progress }) => {
        setFollowed({ progress, heardAt: Date.now() });
        const phase = `${progress.build} ${progress.phase}`;
        if (before !== null && before !== phase) onPhase();
        before = phase;
        return true;
      },
    });
  }, [wanted, name, onPhase]);
  return followed;
}

/** True at first, while `on`, and for a moment after. */
function useHeld(on: boolean): boolean {
  const [held, setHeld] = useState(true);
  useEffect(() => {
    if (on) {
      setHeld(true);
      return;
    }
    const timer = setTimeout(() => setHeld(false), HELD_MS);
    return () => clearTimeout(timer);
  }, [on]);
  return held;
}
