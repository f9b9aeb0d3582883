import { Ban, CircleCheck, CircleX, CornerDownRight, RotateCcw } from 'lucide-react';
import { memo } from 'react';
import { Button } from '@/components/ui/Button';
import type { EventLog } from '@/lib/events/EventLog';
import { useLog } from '@/lib/events/log-hooks';
import type { ChatItem } from '@/lib/events/state';
import { formatNanoShort } from '@/lib/format/money';
import { bytes } from '@/lib/format/text';
import { clock, duration } from '@/lib/time/format';
import { ApprovalCard } from './ApprovalCard';
import { Markdown } from './Markdown';
import { ToolCard } from './ToolCard';

interface Props {
  log: EventLog;
  onRetry: (runId: string) => void;
  retrying: boolean;
}

export const ChatEntry = memo(function ChatEntry({ item, ...rest }: Props & { item: ChatItem }) {
  switch (item.kind) {
    case 'user':
      return <UserMessage item={item} />;
    case 'assistant':
      return (
        <div className="min-w-0" data-testid="assistant-message">
          <Markdown text={item.text.text} />
          {item.text.blob && (
            <p className="text-meta text-text-3">The beginning of a message of {bytes(item.text.blob.bytes)}.</p>
          )}
        </div>
      );
    case 'tool':
      return <Tool id={item.toolCallId} log={rest.log} />;
    case 'retried':
      return (
        <p className="flex items-center gap-1.5 text-meta text-text-3">
          <RotateCcw size={12} aria-hidden /> Tried again at {clock(item.at)}
        </p>
      );
    case 'ended':
      return <Ended item={item} {...rest} />;
  }
});

function UserMessage({ item }: { item: Extract<ChatItem, { kind: 'user' }> }) {
  return (
    <div className="ml-auto flex max-w-[85%] flex-col items-end gap-0.5">
      <div className="min-w-0 max-w-full whitespace-pre-wrap break-words rounded-box bg-primary-soft px-3 py-2 text-chat">
        {item.text.text}
        {item.text.blob && <span className="text-text-3"> … ({bytes(item.text.blob.bytes)} in all)</span>}
      </div>
      <p className="flex items-center gap-1 text-meta text-text-3">
        {item.delivery === 'steer' && (
          <>
            <CornerDownRight size={11} aria-hidden /> reached the running agent ·
          </>
        )}
        {item.delivery === 'record' && 'from the record · '}
        <time dateTime={item.at}>{clock(item.at)}</time>
      </p>
    </div>
  );
}

function Tool({ id, log }: { id: string; log: EventLog }) {
  const call = useLog(log, ({ state }) => state.toolCalls.get(id));
  const live = useLog(log, ({ live: { all } }) => all.get(id)?.text ?? null);
  if (call === undefined) return null;
  if (call.status === 'asked' && call.approval && call.approval.decision === null) {
    return <ApprovalCard call={call} approval={call.approval} />;
  }
  return <ToolCard call={call} liveOutput={live} />;
}

function Ended({ item, log, onRetry, retrying }: Props & { item: Extract<ChatItem, { kind: 'ended' }> }) {
  const run = useLog(log, ({ state }) => state.runs[item.runId]);
  const took = run?.endedAt ? duration(Date.parse(run.endedAt) - Date.parse(run.requestedAt)) : null;
  const { metered = 0, notional = 0, imported = 0 } = run?.usage.spentNano ?? {};
  const cost = formatNanoShort(metered + notional + imported);
  const origin = metered > 0 ? '' : notional > 0 ? ' notional' : imported > 0 ? ' imported' : '';
  const facts = [took, run?.usage.calls ? `${cost}${origin}` : null].filter(Boolean).join(' · ');
  if (item.outcome === 'failed') {
    const { error } = item;
    const latest = run?.status === 'ended' && run.outcome === 'failed';
    return (
      <div className="flex flex-col gap-2 rounded-box border border-danger bg-danger-soft px-3 py-2">
        <p className="flex items-center gap-1.5 font-semibold text-danger">
          <CircleX size={14} aria-hidden /> The run failed
          {error && <code className="ml-auto font-mono text-meta font-normal">{error.kind}</code>}
        </p>
        {error && <p className="break-words">{error.message}</p>}
        {error?.user_action === 'settings' && (
          <p className="text-text-2">Change the model's settings, then try again.</p>
        )}
        {latest && error?.retryable && (
          <div>
            <Button onClick={() => onRetry(item.runId)} disabled={retrying}>
              <RotateCcw size={13} aria-hidden /> Try again
            </Button>
          </div>
        )}
      </div>
    );
  }
  const done = item.outcome === 'succeeded';
  const Icon = done ? CircleCheck : Ban;
  return (
    <p className="flex items-center gap-2 border-t border-line pt-2 text-meta text-text-3">
      <span className={`flex items-center gap-1 font-medium ${done ? 'text-ok' : 'text-text-2'}`}>
        <Icon size={13} aria-hidden /> {done ? 'Done' : 'Stopped'}
      </span>
      {facts}
    </p>
  );
}
