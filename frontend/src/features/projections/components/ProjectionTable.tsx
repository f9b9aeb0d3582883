import { Empty } from '@/components/ui/Notice';
import type { ProjectionsQuery } from '@/lib/graphql/gen/graphql';
import { groups } from '../model/builds';
import type { Orders } from '../model/useOrders';
import { ProjectionGroup } from './ProjectionGroup';

const LEFT = 'px-2 font-medium';
const RIGHT = 'px-2 text-right font-medium';
const COLUMNS: readonly (readonly [name: string, look: string])[] = [
  ['Projection', 'sticky left-0 bg-bg py-1.5 pl-3 pr-2 font-medium'],
  ['Build', LEFT],
  ['State', LEFT],
  ['Condition', LEFT],
  ['Position', RIGHT],
  ['Lag', RIGHT],
  ['Events/s', RIGHT],
  ['Owner', LEFT],
  ['Last error', LEFT],
  ['Quarantined', RIGHT],
  ['Actions', 'pl-2 pr-3 font-medium'],
];

interface Props {
  builds: ProjectionsQuery['projections'];
  orders: Orders | null;
  look: () => void;
}

/** One row a build. On a narrow screen it scrolls by itself. */
export function ProjectionTable({ builds, orders, look }: Props) {
  if (builds.length === 0) {
    return (
      <Empty title="No read models yet">
        Each read model appears with the build that serves it, once the server has made its first ones.
      </Empty>
    );
  }
  return (
    <div role="region" aria-label="Table of read models" tabIndex={0} className="overflow-x-auto">
      <table className="w-full border-collapse">
        <caption className="sr-only">Builds of read models, by projection</caption>
        <thead>
          <tr className="text-left text-meta text-text-3">
            {COLUMNS.map(([name, look]) => (
              <th key={name} scope="col" className={`whitespace-nowrap ${look}`}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        {groups(builds).map((group) => (
          <ProjectionGroup key={group.name} group={group} columns={COLUMNS.length} orders={orders} look={look} />
        ))}
      </table>
    </div>
  );
}
