/** Text that is being written and is not in the log yet. The durable event of an item replaces it. */
import type { LiveFrame, LiveKind, LogEvent } from './types';
import { known } from './types';

interface LiveItem {
  itemId: string;
  runId: string;
  kind: LiveKind;
  text: string;
  bytes: number;
  done: boolean;
  /** When this client saw the first piece, in milliseconds since 1970. */
  since: number;
}

const utf8 = new TextEncoder();

export class LiveItems {
  private items: ReadonlyMap<string, LiveItem> = new Map();
  /** Beginnings of ids whose durable event is here: a late frame must not bring them back. */
  private readonly settled = new Set<string>();

  /** A new map after each change, so that it can be compared. */
  get all(): ReadonlyMap<string, LiveItem> {
    return this.items;
  }

  take({ itemId, runId, kind, offset, text, done }: LiveFrame): void {
    const held = this.items.get(itemId);
    const fits = offset === 0 || offset === held?.bytes;
    if (!fits || this.isSettled(itemId)) return;
    const before = offset === 0 ? { text: '', bytes: 0 } : { text: held?.text ?? '', bytes: held?.bytes ?? 0 };
    this.items = new Map(this.items).set(itemId, {
      itemId,
      runId,
      kind,
      done,
      text: before.text + text,
      bytes: before.bytes + utf8.encode(text).length,
      since: held?.since ?? Date.now(),
    });
  }

  /** Drops what this event makes durable, or ends. */
  settle(event: LogEvent): void {
    const read = known(event);
    if (read === null) return;
    const step = (no: number, rest: string) => `step:${(read.runId ?? '').replace(/^run:/, '')}:${no}:${rest}`;
    switch (read.eventType) {
      case 'thinking.completed':
        return this.close((id) => id.startsWith(step(read.payload.step_no, '')) && id.endsWith(':thinking'));
      case 'assistant_message.completed':
        return this.close((id) => id.startsWith(step(read.payload.step_no, '')) && id.endsWith(':text'));
      case 'step.completed':
      case 'step.failed':
      case 'step.interrupted':
        return this.closeBeginning(step(read.payload.step_no, `${read.payload.attempt}:`));
      case 'tool_call.succeeded':
      case 'tool_call.failed':
      case 'tool_call.orphaned':
      case 'tool_call.declined':
        return this.closeBeginning(read.payload.tool_call_id);
      case 'run.completed':
      case 'run.failed':
      case 'run.cancelled':
        return this.close((id) => this.items.get(id)?.runId === read.runId);
    }
  }

  clear(): void {
    this.items = new Map();
    this.settled.clear();
  }

  private closeBeginning(beginning: string): void {
    this.settled.add(beginning);
    this.close((id) => id.startsWith(beginning));
  }

  private close(matches: (id: string) => boolean): void {
    const closing = [...this.items.keys()].filter(matches);
    if (closing.length === 0) return;
    const left = new Map(this.items);
    for (const id of closing) {
      left.delete(id);
      this.settled.add(id);
    }
    this.items = left;
  }

  private isSettled(itemId: string): boolean {
    if (this.settled.has(itemId)) return true;
    // step:<run>:<no>:<attempt>:<kind> is settled with its attempt.
    const cut = itemId.lastIndexOf(':');
    return itemId.startsWith('step:') && this.settled.has(itemId.slice(0, cut + 1));
  }
}
