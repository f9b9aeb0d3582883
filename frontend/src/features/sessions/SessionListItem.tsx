import { Link } from '@tanstack/react-router';
import { Ban, CircleCheck, CircleDashed, CirclePause, CircleX, LoaderCircle } from 'lucide-react';
import { Badge } from '@/components/ui/Badge';
import { type FragmentType, graphql, readFragment } from '@/lib/graphql/gen';
import type { SessionListItem_SessionFragment as Session, SessionOrigin } from '@/lib/graphql/gen/graphql';
import { ago } from '@/lib/time/format';
import { useNow } from '@/lib/time/useNow';

const SessionListItemSession = graphql(`
  fragment SessionListItem_session on Session {
    id
    title
    origin
    updatedAt
    pendingApprovals
    importSource {
      format
      fileName
    }
    latestRun {
      id
      phase
      status
      outcome
    }
  }
`);

const ORIGINS: Record<SessionOrigin, string | null> = { WEB: null, CLI: 'cli', DEMO: 'demo', IMPORT: 'imported' };

export function SessionListItem({
  session: masked,
  current,
  onChosen,
}: {
  session: FragmentType<typeof SessionListItemSession>;
  current: boolean;
  onChosen?: () => void;
}) {
  const session = readFragment(SessionListItemSession, masked);
  const now = useNow();
  const origin = ORIGINS[session.origin];
  const { icon: Icon, word, colour } = statusOf(session);
  return (
    <li>
      <Link
        to="/s/$sessionId"
        params={{ sessionId: session.id }}
        onClick={onChosen}
        aria-current={current ? 'page' : undefined}
        className={`flex flex-col gap-0.5 rounded-ctl px-2 py-1.5 ${current ? 'bg-primary-soft' : 'hover:bg-hover'}`}
      >
        <span className="flex items-start gap-1.5">
          <span className="line-clamp-2 min-w-0 flex-1 break-words font-medium leading-[18px]" title={session.title}>
            {session.title}
          </span>
          {origin && (
            <Badge tone={session.origin === 'IMPORT' ? 'info' : 'neutral'} title={importedFrom(session)}>
              {origin}
            </Badge>
          )}
        </span>
        <span className="flex items-center gap-1 text-meta text-text-3">
          <Icon size={12} aria-hidden className={`shrink-0 ${colour}`} />
          <span className={`truncate ${colour}`}>{word}</span>
          <time dateTime={session.updatedAt} className="ml-auto shrink-0">
            {ago(session.updatedAt, now)}
          </time>
        </span>
      </Link>
    </li>
  );
}

function importedFrom({ importSource }: Session): string | undefined {
  return importSource ? `Imported from ${importSource.fileName} (${importSource.format})` : undefined;
}

const PHASES: Record<string, string> = {
  PLANNING: 'Planning',
  EXECUTING: 'Executing',
  TESTING: 'Testing',
  FIXING: 'Fixing',
};

function statusOf({ pendingApprovals, latestRun }: Session): { icon: typeof Ban; word: string; colour: string } {
  if (pendingApprovals > 0) {
    return {
      icon: CirclePause,
      word: pendingApprovals > 1 ? `${pendingApprovals} approvals wait` : 'Needs you',
      colour: 'text-warn',
    };
  }
  if (!latestRun) return { icon: CircleDashed, word: 'No run', colour: 'text-text-3' };
  if (latestRun.status === 'ENDED') {
    if (latestRun.outcome === 'SUCCEEDED') return { icon: CircleCheck, word: 'Done', colour: 'text-ok' };
    if (latestRun.outcome === 'FAILED') return { icon: CircleX, word: 'Failed', colour: 'text-danger' };
    return { icon: Ban, word: 'Stopped', colour: 'text-text-3' };
  }
  if (latestRun.status === 'QUEUED') return { icon: CircleDashed, word: 'Queued', colour: 'text-text-3' };
  if (latestRun.status === 'WAITING') return { icon: CirclePause, word: 'Waiting', colour: 'text-warn' };
  return { icon: LoaderCircle, word: PHASES[latestRun.phase] ?? 'Working', colour: 'text-accent' };
}
