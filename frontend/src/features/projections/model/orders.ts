/** What a person can ask for on this page, and what is said before it is done. */
import { positionNumber } from '@/lib/events/position';
import { plural } from '@/lib/format/text';
import type { Action } from './actions';

export type Order =
  | { kind: Action; name: string }
  | { kind: 'rebuildAll'; names: readonly string[] }
  | { kind: 'retry'; name: string; position: string }
  | { kind: 'skip'; name: string; position: string };

/** An order with all that the server needs. */
export type FullOrder =
  | Exclude<Order, { kind: 'skip' }>
  | { kind: 'skip'; name: string; position: string; reason: string };

interface Words {
  title: string;
  /** What happens, in a sentence or two. */
  sentence: string;
  confirm: string;
  dismiss: string;
  danger: boolean;
}

/** The same button. */
export function keyOf(order: Order): string {
  if (order.kind === 'rebuildAll') return order.kind;
  return 'position' in order ? `${order.kind} ${order.name} ${order.position}` : `${order.kind} ${order.name}`;
}

const PLAIN = { dismiss: 'Not now', danger: false };

export function wordsOf(order: Order): Words {
  if (order.kind === 'rebuildAll') {
    return {
      ...PLAIN,
      title: 'Rebuild all read models?',
      sentence: `Each of ${plural(order.names.length, 'read model')} is made anew from the log, one after another, and takes the place of the one that serves if both are equal. If you close this tab, those that have not begun stay as they are.`,
      confirm: 'Rebuild all',
    };
  }
  const { name } = order;
  switch (order.kind) {
    case 'rebuild':
      return {
        ...PLAIN,
        title: `Rebuild ${name}?`,
        sentence: `A new build of ${name} is made from the whole log, beside the one that serves, and takes its place if both are equal. Until then readers notice nothing.`,
        confirm: 'Rebuild',
      };
    case 'cancel':
      return {
        title: `Cancel the rebuild of ${name}?`,
        sentence: 'The new build is given up, with what it has loaded. What serves is not touched.',
        confirm: 'Cancel the rebuild',
        dismiss: 'Let it go on',
        danger: true,
      };
    case 'resume':
      return {
        ...PLAIN,
        title: `Go on with the rebuild of ${name}?`,
        sentence:
          'It goes on where it was left. If somebody works on it already, nothing is done and you are told who it is.',
        confirm: 'Go on',
      };
    case 'accept':
      return {
        title: `Switch ${name} though it may differ?`,
        sentence: `The new build of ${name} takes the place of the one that serves even where their rows differ. The one that serves now is kept, and you can go back to it.`,
        confirm: 'Switch all the same',
        dismiss: 'Not now',
        danger: true,
      };
    case 'undo':
      return {
        ...PLAIN,
        title: `Go back to the earlier build of ${name}?`,
        sentence:
          'The build that served before serves again, once it has caught up with the log. The one that serves now is kept, so this can be undone too.',
        confirm: 'Go back',
      };
    case 'retry':
      return {
        ...PLAIN,
        title: `Try event #${positionNumber(order.position)} again in ${name}?`,
        sentence: `${name} tries once more to take the event in, and then all that waits behind it. The order is recorded in the log.`,
        confirm: 'Try again',
      };
    case 'skip':
      return {
        title: `Leave event #${positionNumber(order.position)} out of ${name}?`,
        sentence: `${name} goes on for good as if the event had not happened, in every later build too. The log keeps the event, and this order with your reason.`,
        confirm: 'Leave it out',
        dismiss: 'Not now',
        danger: true,
      };
  }
}
