import { TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import { Badge } from '@/components/ui/Badge';
import { positionNumber } from '@/lib/events/position';
import { type FragmentType, graphql, readFragment } from '@/lib/graphql/gen';
import type { BuildRow_ProjectionFragment as Build } from '@/lib/graphql/gen/graphql';
import { ago, full } from '@/lib/time/format';
import { useNow } from '@/lib/time/useNow';
import { isOver } from '../model/builds';
import { lag, owner, rate } from '../model/format';
import { Condition } from './Condition';

const BuildRowProjection = graphql(`
  fragment BuildRow_projection on Projection {
    name
    version
    releaseVersion
    build
    state
    condition
    position
    lagEvents
    lagSeconds
    eventsPerSecond
    lastError
    failedAt
    workerId
    beatAt
    stoppedAt
    quarantined
  }
`);

const NUMBER = 'whitespace-nowrap px-2 text-right font-mono text-code';

/** One build. `actions` belong to its projection and stand in the first row of it. */
export function BuildRow(props: { build: FragmentType<typeof BuildRowProjection>; actions: ReactNode }) {
  const build = readFragment(BuildRowProjection, props.build);
  const over = isOver(build);
  return (
    <tr className="h-8">
      <th scope="row" className="sticky left-0 bg-bg py-1 pl-3 pr-2 text-left font-medium">
        {build.name}
      </th>
      <td className="whitespace-nowrap px-2 font-mono text-code">{build.build}</td>
      <td className="px-2">
        <State build={build} />
      </td>
      <td className="px-2">
        <Condition condition={build.condition} state={build.state} />
        {build.stoppedAt && <span className="block text-meta text-danger">at #{positionNumber(build.stoppedAt)}</span>}
      </td>
      <td className={`${NUMBER} text-text-3`}>{over ? '–' : `#${positionNumber(build.position)}`}</td>
      <td className={NUMBER}>{over ? '–' : lag(build.lagEvents, build.lagSeconds)}</td>
      <td className={NUMBER}>{over ? '–' : rate(build.eventsPerSecond)}</td>
      <td className="whitespace-nowrap px-2 font-mono text-code text-text-2">{over ? '–' : owner(build)}</td>
      <td className="px-2">
        <LastError build={build} />
      </td>
      <td className={NUMBER}>
        {build.quarantined > 0 ? (
          <a href="#quarantine" className="inline-flex items-center gap-1 text-warn underline underline-offset-2">
            <TriangleAlert size={12} aria-hidden /> {build.quarantined.toLocaleString('en')}
          </a>
        ) : (
          '0'
        )}
      </td>
      <td className="py-1 pl-2 pr-3">{props.actions}</td>
    </tr>
  );
}

function State({ build: { state, version, releaseVersion } }: { build: Build }) {
  return (
    <span className="flex flex-wrap items-center gap-1">
      <Badge tone={state === 'serving' ? 'primary' : 'neutral'}>{state}</Badge>
      {releaseVersion == null && <Badge tone="warn">not of this release</Badge>}
      {releaseVersion != null && releaseVersion !== version && (
        <Badge tone="info">this release makes v{releaseVersion}</Badge>
      )}
    </span>
  );
}

function LastError({ build: { lastError, failedAt } }: { build: Build }) {
  const now = useNow();
  if (!lastError) return <span className="text-text-3">none</span>;
  return (
    <span className="block min-w-48 max-w-80 break-words py-0.5 text-text-2">
      {lastError}
      {failedAt && (
        <time dateTime={failedAt} title={full(failedAt)} className="text-meta text-text-3">
          {' · '}
          {ago(failedAt, now)}
        </time>
      )}
    </span>
  );
}
