import { CornerDownLeft } from 'lucide-react';
import { useRef, useState } from 'react';
import { useMutation } from 'urql';
import { useStore } from 'zustand';
import { Button } from '@/components/ui/Button';
import { Notice } from '@/components/ui/Notice';
import { problemOf } from '@/lib/graphql/errors';
import { graphql } from '@/lib/graphql/gen';
import { newRequestId } from '@/lib/ids';
import { connection } from '@/lib/realtime/connection';
import { draftOf, keepDraft } from '../model/drafts';

const LONGEST = 100_000;
const NEARLY = 90_000;

const MessageSend = graphql(`
  mutation MessageSend($input: MessageSendInput!) {
    messageSend(input: $input) {
      run {
        id
      }
      position
    }
  }
`);

/** Where a person writes. What could not be sent stays in the box, and says so. */
export function Composer({ sessionId, working, imported }: { sessionId: string; working: boolean; imported: boolean }) {
  const [text, setDraft] = useState(() => draftOf(sessionId));
  const setText = (next: string) => {
    setDraft(next);
    keepDraft(sessionId, next);
  };
  const [{ fetching, error }, send] = useMutation(MessageSend);
  // One id for one submission: sending the same text again after a lost answer cannot make two messages.
  const submission = useRef<{ text: string; requestId: string } | null>(null);
  const status = useStore(connection, ({ now }) => now.status);
  const problem = error ? problemOf(error) : null;
  const tooLong = [...text].length > LONGEST;
  const away = status === 'reconnecting' || status === 'offline';

  if (imported) {
    return (
      <p className="border-t border-line bg-surface px-4 py-3 text-text-3">
        This session was imported: it is a record of what happened elsewhere and takes no messages.
      </p>
    );
  }

  const submit = async () => {
    const wanted = text.trim();
    if (wanted === '' || fetching || tooLong) return;
    if (submission.current?.text !== wanted) submission.current = { text: wanted, requestId: newRequestId() };
    const { requestId } = submission.current;
    const result = await send({ input: { requestId, sessionId, text: wanted } });
    if (result.error) return;
    submission.current = null;
    if (draftOf(sessionId).trim() === wanted) setText('');
  };

  return (
    <form
      aria-label="Write to the agent"
      className="shrink-0 border-t border-line bg-surface px-4 py-3"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <div className="mx-auto flex max-w-[728px] flex-col gap-2">
        {problem && (
          <Notice
            code={problem.unsent ? undefined : problem.code}
            action={
              <Button type="submit" size="small" disabled={fetching}>
                Send again
              </Button>
            }
          >
            {problem.unsent ? 'Not sent yet: the server did not answer. Your text is kept.' : problem.message}
          </Notice>
        )}
        {tooLong && (
          <Notice>
            A message has at most {LONGEST.toLocaleString('en')} characters; this one has{' '}
            {[...text].length.toLocaleString('en')}.
          </Notice>
        )}
        <div className="flex items-end gap-2 rounded-box border border-line-strong bg-field p-1.5 focus-within:border-transparent focus-within:outline-2 focus-within:outline-[var(--focus)]">
          <textarea
            aria-label="Message"
            rows={Math.min(8, Math.max(1, text.split('\n').length))}
            value={text}
            placeholder={working ? 'Steer the agent while it works' : 'What should the agent do next?'}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
              event.preventDefault();
              void submit();
            }}
            className="min-h-7 flex-1 resize-none bg-transparent px-1.5 py-1 text-chat outline-none"
          />
          <Button type="submit" tone="primary" disabled={fetching || tooLong || text.trim() === ''}>
            <CornerDownLeft size={14} aria-hidden /> {fetching ? 'Sending' : 'Send'}
          </Button>
        </div>
        <p className="flex justify-between gap-2 text-meta text-text-3">
          <span className="max-sm:hidden">Enter sends, Shift+Enter begins a new line</span>
          {away && !problem && text !== '' && <span className="text-warn">Not sent yet: no connection</span>}
          {text.length > NEARLY && !tooLong && <span>{(LONGEST - [...text].length).toLocaleString('en')} left</span>}
        </p>
      </div>
    </form>
  );
}
