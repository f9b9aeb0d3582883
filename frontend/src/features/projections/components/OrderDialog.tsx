import { useState } from 'react';
import { Button } from '@/components/ui/Button';
import { Dialog } from '@/components/ui/Dialog';
import { Notice } from '@/components/ui/Notice';
import { type FullOrder, keyOf, type Order, wordsOf } from '../model/orders';
import { type Orders, sentOf } from '../model/useOrders';

const REASON_MAX = 2_000;

/** Says what will happen, and asks. A refusal stands where the question stood. */
export function OrderDialog({ orders }: { orders: Orders }) {
  const { asked } = orders;
  return (
    <Dialog open={asked !== null} onClose={orders.close} title={asked ? wordsOf(asked).title : ''}>
      {asked && <Question key={keyOf(asked)} order={asked} orders={orders} />}
    </Dialog>
  );
}

function Question({ order, orders }: { order: Order; orders: Orders }) {
  const [reason, setReason] = useState('');
  const words = wordsOf(order);
  const sent = sentOf(orders.sent, order);
  const busy = sent !== undefined && sent.problem === null;
  const full: FullOrder = order.kind === 'skip' ? { ...order, reason: reason.trim() } : order;
  const lacksReason = order.kind === 'skip' && reason.trim() === '';
  return (
    <form
      className="flex flex-col gap-3 p-4"
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy && !lacksReason) orders.confirm(full);
      }}
    >
      <p className="text-chat">{words.sentence}</p>
      {order.kind === 'skip' && (
        <label className="flex flex-col gap-1 text-text-2">
          Why may it be left out?
          <textarea
            rows={2}
            required
            value={reason}
            maxLength={REASON_MAX}
            onChange={(event) => setReason(event.target.value)}
            className="resize-y rounded-ctl border border-line-strong bg-field px-2 py-1 text-text"
          />
        </label>
      )}
      {sent?.problem && <Notice code={sent.problem.code}>{sent.problem.message}</Notice>}
      <div className="flex flex-wrap items-center gap-2">
        <Button type="submit" tone={words.danger ? 'danger' : 'primary'} disabled={busy || lacksReason}>
          {words.confirm}
        </Button>
        <Button tone="quiet" onClick={orders.close}>
          {busy ? 'Close' : words.dismiss}
        </Button>
        {busy && (
          <span role="status" className="text-meta text-text-3">
            The server is at work; it goes on if you close this.
          </span>
        )}
      </div>
    </form>
  );
}
