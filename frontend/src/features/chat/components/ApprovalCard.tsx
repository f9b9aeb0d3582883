import { ShieldAlert } from 'lucide-react';
import { useState } from 'react';
import { useMutation } from 'urql';
import { Button } from '@/components/ui/Button';
import { Notice } from '@/components/ui/Notice';
import type { ApprovalState, ToolCallState } from '@/lib/events/state';
import { meaningOf, proposal } from '@/lib/events/tools';
import { problemOf } from '@/lib/graphql/errors';
import { graphql } from '@/lib/graphql/gen';
import type { ApprovalAnswer, ApprovalScope } from '@/lib/graphql/gen/graphql';
import { newRequestId } from '@/lib/ids';
import { elapsed } from '@/lib/time/format';
import { useNow } from '@/lib/time/useNow';
import { Code } from './Code';

const ApprovalDecide = graphql(`
  mutation ApprovalDecide($input: ApprovalDecideInput!) {
    approvalDecide(input: $input) {
      run {
        id
        status
      }
    }
  }
`);

type Answer = { answer: ApprovalAnswer; scope: ApprovalScope; reason: string | null };

/** A call that waits for a person, in place of its tool card. */
export function ApprovalCard({ call, approval }: { call: ToolCallState; approval: ApprovalState }) {
  const now = useNow();
  const [denying, setDenying] = useState(false);
  const [reason, setReason] = useState('');
  const [requestIds] = useState(() => new Map<string, string>());
  const [sent, setSent] = useState(false);
  const [{ fetching, error }, decide] = useMutation(ApprovalDecide);
  const what = proposal(call);
  const busy = fetching || (sent && !error);

  const send = (answer: Answer) => {
    if (busy) return;
    setSent(true);
    // The same answer again must carry the same request id; another answer is another request.
    const key = JSON.stringify(answer);
    const requestId = requestIds.get(key) ?? newRequestId();
    requestIds.set(key, requestId);
    void decide({ input: { requestId, runId: call.runId, approvalId: approval.id, ...answer } });
  };
  const grant = (scope: ApprovalScope) => send({ answer: 'GRANT', scope, reason: null });

  return (
    <article
      id={`approval-${approval.id}`}
      aria-label={`Approval: ${meaningOf(call).title}`}
      className="overflow-hidden rounded-box border border-warn bg-surface"
    >
      <header className="flex items-center gap-2 bg-warn-soft px-3 py-1.5 text-warn">
        <ShieldAlert size={15} aria-hidden className="shrink-0" />
        <h3 className="min-w-0 flex-1 truncate font-semibold">{meaningOf(call).title}?</h3>
        <span className="shrink-0 text-meta">asked {elapsed(now - Date.parse(approval.askedAt))} ago</span>
      </header>
      <div className="flex flex-col gap-2.5 p-3">
        <Code text={what.text} language={what.language} label={what.label} wrap />
        <p className="text-text-2">
          <span className="text-text-3">Asked because</span> {approval.reason}.
        </p>
        {denying ? (
          <form
            className="flex flex-col gap-2"
            onSubmit={(event) => {
              event.preventDefault();
              send({ answer: 'DENY', scope: 'ONCE', reason: reason.trim() || null });
            }}
          >
            <label className="flex flex-col gap-1 text-text-2">
              Why not? The agent reads this.
              <input
                // biome-ignore lint/a11y/noAutofocus: the field appears because the person asked for it.
                autoFocus
                value={reason}
                maxLength={2_000}
                onChange={(event) => setReason(event.target.value)}
                className="h-8 rounded-ctl border border-line-strong bg-field px-2 text-text"
              />
            </label>
            <div className="flex gap-2">
              <Button type="submit" tone="danger" disabled={busy}>
                Deny
              </Button>
              <Button tone="quiet" disabled={busy} onClick={() => setDenying(false)}>
                Back
              </Button>
            </div>
          </form>
        ) : (
          <div className="flex flex-wrap items-center gap-2">
            <Button data-answer tone="primary" disabled={busy} onClick={() => grant('ONCE')}>
              Approve once
            </Button>
            {approval.offeredScopes.includes('run') && (
              <Button
                disabled={busy}
                onClick={() => grant('RUN')}
                title={`Later calls of ${call.tool} in this run go ahead without asking`}
              >
                Approve for this run
              </Button>
            )}
            <Button tone="danger" disabled={busy} onClick={() => setDenying(true)}>
              Deny
            </Button>
            {busy && <span className="text-meta text-text-3">sending your answer…</span>}
          </div>
        )}
        {error && <Notice code={problemOf(error).code}>{problemOf(error).message}</Notice>}
      </div>
    </article>
  );
}
