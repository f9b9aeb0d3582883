import { useCallback, useState } from 'react';
import { useClient } from 'urql';
import type { Problem } from '@/lib/graphql/errors';
import { carryOut } from './carryOut';
import { type FullOrder, keyOf, type Order } from './orders';
import { rebuildAll } from './rebuildAll';

/** An order that was sent: under way, or refused. */
interface Sent {
  order: Order;
  problem: Problem | null;
}

export interface Orders {
  /** The one that is about to be confirmed. */
  asked: Order | null;
  ask: (order: Order) => void;
  /** Closes the question. What was sent goes on, and its refusal is shown on the page. */
  close: () => void;
  confirm: (order: FullOrder) => void;
  sent: readonly Sent[];
  dismiss: (order: Order) => void;
}

/** Orders are asked for, confirmed and sent; several may be under way. */
export function useOrders(onAnswer: (order: Order, problem: Problem | null) => void): Orders {
  const client = useClient();
  const [asked, setAsked] = useState<Order | null>(null);
  const [sent, setSent] = useState<readonly Sent[]>([]);
  const set = useCallback((order: Order, next: Sent | null) => {
    const others = (list: readonly Sent[]) => list.filter((one) => keyOf(one.order) !== keyOf(order));
    setSent((list) => (next ? [...others(list), next] : others(list)));
  }, []);
  const closeIf = (order: Order) => setAsked((now) => (now && keyOf(now) === keyOf(order) ? null : now));

  const confirm = async (order: FullOrder) => {
    if (order.kind === 'rebuildAll') {
      closeIf(order);
      void rebuildAll(client, order.names);
      return;
    }
    set(order, { order, problem: null });
    const problem = await carryOut(client, order);
    set(order, problem && { order, problem });
    if (!problem) closeIf(order);
    onAnswer(order, problem);
  };
  return {
    asked,
    ask: setAsked,
    close: () => {
      if (asked && sentOf(sent, asked)?.problem) set(asked, null);
      setAsked(null);
    },
    confirm: (order) => void confirm(order),
    sent,
    dismiss: (order) => set(order, null),
  };
}

export function sentOf(sent: readonly Sent[], order: Order): Sent | undefined {
  return sent.find((one) => keyOf(one.order) === keyOf(order));
}
