import { useStore } from 'zustand';
import { Button } from '@/components/ui/Button';
import type { ProjectionsQuery } from '@/lib/graphql/gen/graphql';
import { useNow } from '@/lib/time/useNow';
import { type Action, offered } from '../model/actions';
import type { Group } from '../model/builds';
import { all } from '../model/rebuildAll';
import type { Orders } from '../model/useOrders';
import { useRebuildProgress } from '../model/useRebuildProgress';
import { BuildRow } from './BuildRow';
import { RebuildProgress } from './RebuildProgress';

/** After this long without a word, a build may have been left. */
const STILL_MS = 15_000;
const LABELS: Record<Action, string> = {
  rebuild: 'Rebuild',
  cancel: 'Cancel',
  resume: 'Go on',
  accept: 'Switch all the same',
  undo: 'Undo',
};

interface Props {
  group: Group<ProjectionsQuery['projections'][number]>;
  columns: number;
  /** Null for who may only look. */
  orders: Orders | null;
  look: () => void;
}

/** The builds of one projection, what is being made of it, and what can be done. */
export function ProjectionGroup({ group, columns, orders, look }: Props) {
  const { name, underWay } = group;
  const now = useNow();
  const asked = orders?.sent.some(({ order, problem }) => 'name' in order && order.name === name && !problem) ?? false;
  const hasTurn = useStore(all, ({ current }) => current === name);
  const known = group.builds.some(({ releaseVersion }) => releaseVersion != null);
  const wish = { name, allowed: orders !== null && known, on: underWay !== null || asked || hasTurn };
  const { progress, heardAt } = useRebuildProgress(wish, look);
  const still = now - heardAt > STILL_MS;
  const actions = offered(group, { newest: progress?.build ?? null, still });
  return (
    <tbody className="border-t border-line">
      {group.shown.map((build, at) => (
        // By place, so that the row with the buttons stays when another build takes it.
        <BuildRow
          key={at}
          build={build}
          actions={
            orders &&
            at === 0 && (
              <div className="flex min-w-28 flex-wrap gap-1">
                {actions.map((action, place) => (
                  // The first button stays the same one, so that it keeps the focus when a rebuild begins or ends.
                  <Button
                    key={place === 0 ? 'first' : action}
                    size="small"
                    tone={action === 'cancel' ? 'danger' : 'plain'}
                    aria-label={`${LABELS[action]}: ${name}`}
                    onClick={() => orders.ask({ kind: action, name })}
                  >
                    {LABELS[action]}
                  </Button>
                ))}
              </div>
            )
          }
        />
      ))}
      {underWay && (
        <tr>
          <td colSpan={columns}>
            <RebuildProgress build={underWay} progress={progress} still={still} />
          </td>
        </tr>
      )}
    </tbody>
  );
}
