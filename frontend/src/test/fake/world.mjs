// What the fake server knows: one book of events, and who listens.
import { randomUUID } from 'node:crypto';

export class World {
  constructor({ speed, faults }) {
    this.speed = speed;
    this.faults = faults;
    this.token = 'fake-session';
    this.userId = 'user:01900000-0000-7000-8000-000000000001';
    this.position = 0;
    this.sessions = new Map();
    this.answers = new Map();
    this.listListeners = new Set();
  }

  id(noun) {
    const time = Date.now().toString(16).padStart(12, '0');
    const rest = randomUUID().slice(15);
    return `${noun}:${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15, 18)}${rest.slice(3)}`;
  }

  wait(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms / this.speed));
  }

  /** The same request id gets the first answer. */
  once(requestId, make) {
    if (!this.answers.has(requestId)) this.answers.set(requestId, make());
    return this.answers.get(requestId);
  }

  newSession(session) {
    const entry = { ...session, events: [], live: new Map(), listeners: new Set(), runs: [], decisions: new Map() };
    this.sessions.set(session.id, entry);
    return entry;
  }

  append(session, runId, eventType, payload, actorId = 'worker:fake') {
    this.position += 1;
    const at = new Date().toISOString();
    const event = {
      position: `1-${this.position}`,
      eventType,
      eventVersion: 1,
      streamId: runId ?? session.id,
      sequence: session.events.filter((other) => other.streamId === (runId ?? session.id)).length + 1,
      runId,
      actorId,
      occurredAt: at,
      recordedAt: at,
      payload,
    };
    const prev = session.events.at(-1)?.position ?? null;
    session.events.push(event);
    session.updatedAt = at;
    this.send(session, { __typename: 'EventsFrame', prev, events: [event] });
    for (const listener of this.listListeners) listener({ position: event.position });
    return event;
  }

  send(session, frame) {
    const ofEvents = frame.__typename === 'EventsFrame';
    // Only what is soon followed by another event is lost: a gap is proven by the frame after it.
    const losable = ofEvents && /^(spend|usage|reservation|plan|file)\./.test(frame.events[0].eventType);
    for (const listener of session.listeners) {
      if (this.faults.has('skip') && losable && Math.random() < 0.15) continue;
      listener(frame);
      if (this.faults.has('repeat') && ofEvents && Math.random() < 0.1) listener(frame);
    }
  }

  /** Streams a text piece by piece; a late subscriber gets all of it so far. */
  async stream(session, runId, itemId, kind, text, { ms = 24, size = 14 } = {}) {
    for (let at = 0; at < text.length; at += size) {
      const piece = text.slice(at, at + size);
      const before = session.live.get(itemId)?.text ?? '';
      const done = at + size >= text.length;
      session.live.set(itemId, { runId, itemId, kind, text: before + piece });
      this.send(session, {
        __typename: 'LiveFrame',
        runId,
        itemId,
        kind,
        offset: Buffer.byteLength(before),
        text: piece,
        done,
      });
      await this.wait(ms);
    }
    return text;
  }

  settleLive(session, beginning) {
    for (const id of [...session.live.keys()]) if (id.startsWith(beginning)) session.live.delete(id);
  }

  async *follow(session, after) {
    const number = (cursor) => Number(cursor?.split('-')[1] ?? 0);
    const queue = [];
    let notify = () => {};
    const listener = (frame) => {
      queue.push(frame);
      notify();
    };
    const missed = session.events.filter((event) => number(event.position) > number(after));
    const caughtUp = { __typename: 'CaughtUpFrame', position: session.events.at(-1)?.position ?? '1-0' };
    const live = [...session.live.values()].map((item) => ({
      ...item,
      __typename: 'LiveFrame',
      offset: 0,
      done: false,
    }));
    session.listeners.add(listener);
    const heartbeat = setInterval(
      () => listener({ __typename: 'HeartbeatFrame', position: `1-${this.position}` }),
      5_000,
    );
    try {
      let prev = after ?? null;
      for (let at = 0; at < missed.length; at += 20) {
        const events = missed.slice(at, at + 20);
        yield { sessionEvents: { __typename: 'EventsFrame', prev, events } };
        prev = events.at(-1)?.position ?? prev;
      }
      yield { sessionEvents: caughtUp };
      for (const frame of live) yield { sessionEvents: frame };
      while (true) {
        while (queue.length > 0) yield { sessionEvents: queue.shift() };
        await new Promise((resolve) => {
          notify = resolve;
        });
      }
    } finally {
      clearInterval(heartbeat);
      session.listeners.delete(listener);
    }
  }

  async *changes() {
    const queue = [];
    let notify = () => {};
    const listener = (change) => {
      queue[0] = change;
      notify();
    };
    this.listListeners.add(listener);
    try {
      while (true) {
        await new Promise((resolve) => {
          notify = resolve;
        });
        await this.wait(100);
        const change = queue.shift();
        if (change) yield { sessionsChanged: change };
      }
    } finally {
      this.listListeners.delete(listener);
    }
  }
}
