import { useNavigate } from '@tanstack/react-router';
import { FlaskConical, Hash, PenLine, Play } from 'lucide-react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useQuery } from 'urql';
import { Button } from '@/components/ui/Button';
import { Empty, Notice, Skeleton } from '@/components/ui/Notice';
import { SessionListItem, SessionsPage, useStartSession } from '@/features/sessions';
import { problemOf } from '@/lib/graphql/errors';
import { useLastData } from '@/lib/graphql/useLastData';
import { newRequestId } from '@/lib/ids';

const DEMO_TASK =
  'Write a small Python program that converts integers to Roman numerals, with unit tests, and make the tests pass.';
const COUNT_TASK = 'Count slowly to five.';
const RECENT = 6;
const LONGEST = 100_000;

/** Something to run at once, and the way back to what ran before. On a first visit the demo starts by itself. */
export function StartPage({ demo }: { demo: boolean }) {
  const navigate = useNavigate();
  const { start, starting, problem } = useStartSession(
    (sessionId) => void navigate({ to: '/s/$sessionId', params: { sessionId }, replace: demo }),
  );
  const [{ data: answered, fetching, error }, refetch] = useQuery({
    query: SessionsPage,
    variables: { first: RECENT, after: null, search: null },
    requestPolicy: 'cache-and-network',
  });
  const data = useLastData(answered);
  const first = demo && data?.sessions.totalCount === 0 && !error;
  const begun = useRef(false);
  useEffect(() => {
    if (!first || begun.current) return;
    begun.current = true;
    start(DEMO_TASK, demoRequestId());
  });
  useEffect(() => {
    document.title = 'Daybook';
  }, []);

  if (demo && !problem && (first || (fetching && !data))) {
    return (
      <main id="main" className="flex flex-1 items-center justify-center p-6">
        <h1 className="text-head text-text-2" role="status">
          Starting the demo…
        </h1>
      </main>
    );
  }
  return (
    <main id="main" className="min-h-0 flex-1 overflow-y-auto">
      <div className="mx-auto flex max-w-[880px] flex-col gap-8 px-5 py-10 max-sm:py-6">
        <div>
          <h1 tabIndex={-1} className="text-title font-semibold outline-none">
            What should the agent do?
          </h1>
          <p className="text-chat text-text-2">
            It plans, works in a sandbox, runs the tests and mends what is red. Every step is an event that you can look
            up.
          </p>
        </div>
        {problem && <Notice code={problem.code}>{problem.message}</Notice>}
        <section aria-label="Example tasks" className="grid gap-3 md:grid-cols-2">
          <Example
            icon={<FlaskConical size={16} aria-hidden />}
            name="Roman numerals"
            task={DEMO_TASK}
            facts="about a minute · asks once for your approval"
            disabled={starting}
            onRun={start}
          />
          <Example
            icon={<Hash size={16} aria-hidden />}
            name="Count slowly"
            task={COUNT_TASK}
            facts="a few seconds · shows live output"
            disabled={starting}
            onRun={start}
          />
          <FreeTask disabled={starting} onRun={start} />
        </section>
        <section aria-label="Recent sessions" className="flex flex-col gap-2">
          <h2 className="text-meta font-semibold uppercase tracking-[0.06em] text-text-3">Recent sessions</h2>
          {error && (
            <Notice
              code={problemOf(error).code}
              action={
                <Button size="small" onClick={() => refetch({ requestPolicy: 'network-only' })}>
                  Retry
                </Button>
              }
            >
              {problemOf(error).message}
            </Notice>
          )}
          {!data && fetching && <Skeleton rows={3} label="Loading sessions" />}
          {data?.sessions.edges.length === 0 && <Empty title="None yet">Your sessions will be listed here.</Empty>}
          <ul className="grid gap-2 md:grid-cols-2 [&>li]:rounded-box [&>li]:border [&>li]:border-line [&>li]:bg-surface [&>li]:p-1">
            {data?.sessions.edges.slice(0, RECENT).map(({ node }) => (
              <SessionListItem key={node.id} session={node} current={false} />
            ))}
          </ul>
        </section>
      </div>
    </main>
  );
}

function Example(props: {
  icon: ReactNode;
  name: string;
  task: string;
  facts: string;
  disabled: boolean;
  onRun: (task: string) => void;
}) {
  return (
    <article className="flex flex-col gap-2 rounded-box border border-line bg-surface p-4">
      <h2 className="flex items-center gap-2 font-semibold text-primary">
        {props.icon} {props.name}
      </h2>
      <p className="flex-1 text-chat">{props.task}</p>
      <div className="flex items-center justify-between gap-2">
        <span className="text-meta text-text-3">{props.facts}</span>
        <Button
          tone="primary"
          disabled={props.disabled}
          onClick={() => props.onRun(props.task)}
          aria-label={`Run: ${props.name}`}
        >
          <Play size={13} aria-hidden /> Run
        </Button>
      </div>
    </article>
  );
}

function FreeTask({ disabled, onRun }: { disabled: boolean; onRun: (task: string) => void }) {
  const [text, setText] = useState('');
  const length = [...text].length;
  const submit = () => {
    if (text.trim() !== '' && length <= LONGEST && !disabled) onRun(text.trim());
  };
  return (
    <form
      aria-label="A task of your own"
      className="flex flex-col gap-2 rounded-box border border-line bg-surface p-4 md:col-span-2"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <label htmlFor="own-task" className="flex items-center gap-2 font-semibold text-primary">
        <PenLine size={16} aria-hidden /> A task of your own
      </label>
      <textarea
        id="own-task"
        rows={3}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
          event.preventDefault();
          submit();
        }}
        placeholder="Say what you want to have at the end, and how you would check it."
        className="resize-y rounded-ctl border border-line-strong bg-field px-2.5 py-1.5 text-chat"
      />
      {length > LONGEST && (
        <Notice>
          A task has at most {LONGEST.toLocaleString('en')} characters; this one has {length.toLocaleString('en')}.
        </Notice>
      )}
      <div className="flex items-center justify-between">
        <span className="text-meta text-text-3">Enter starts, Shift+Enter begins a new line</span>
        <Button type="submit" tone="primary" disabled={disabled || text.trim() === '' || length > LONGEST}>
          <Play size={13} aria-hidden /> {disabled ? 'Starting' : 'Start'}
        </Button>
      </div>
    </form>
  );
}

/** One id for one visit: a reload in the middle of the start must not start twice. */
function demoRequestId(): string {
  try {
    const held = sessionStorage.getItem('daybook.demo') ?? newRequestId();
    sessionStorage.setItem('daybook.demo', held);
    return held;
  } catch {
    return newRequestId();
  }
}
