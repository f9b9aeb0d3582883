/** A mission state under change: each part is copied once, on its first change, and shared otherwise. */
import type { ChatItem, FileState, MissionState, RunState, ThinkingItem, ToolCallState } from './state';
import { emptyMission } from './state';

export class Draft {
  private readonly next: {
    -readonly [K in keyof MissionState]: MissionState[K];
  };
  private readonly copied = new Set<keyof MissionState>();

  constructor(base: MissionState) {
    this.next = { ...base };
  }

  done(): MissionState {
    return this.next;
  }

  get state(): MissionState {
    return this.next;
  }

  set(change: Partial<Pick<MissionState, 'count' | 'position' | 'session' | 'pending'>>): void {
    Object.assign(this.next, change);
  }

  /** Nothing but how far the log was read stays known. */
  forget(): void {
    const { count, position } = this.next;
    Object.assign(this.next, emptyMission(), { count, position });
    this.copied.clear();
  }

  say(item: ChatItem): void {
    if (this.first('chat')) this.next.chat = [...this.next.chat];
    (this.next.chat as ChatItem[]).push(item);
  }

  think(item: ThinkingItem): void {
    if (this.first('thinking')) this.next.thinking = [...this.next.thinking];
    (this.next.thinking as ThinkingItem[]).push(item);
  }

  putRun(run: RunState): void {
    if (!(run.id in this.next.runs)) this.next.runIds = [...this.next.runIds, run.id];
    if (this.first('runs')) this.next.runs = { ...this.next.runs };
    (this.next.runs as Record<string, RunState>)[run.id] = run;
  }

  run(id: string | null | undefined, change: (run: RunState) => Partial<RunState>): void {
    const run = id ? this.next.runs[id] : undefined;
    if (run !== undefined) this.putRun({ ...run, ...change(run) });
  }

  putCall(call: ToolCallState): void {
    if (this.first('toolCalls')) this.next.toolCalls = new Map(this.next.toolCalls);
    (this.next.toolCalls as Map<string, ToolCallState>).set(call.id, call);
  }

  call(id: string, change: (call: ToolCallState) => Partial<ToolCallState>): void {
    const call = this.next.toolCalls.get(id);
    if (call !== undefined) this.putCall({ ...call, ...change(call) });
  }

  putFile(file: FileState): void {
    if (this.first('files')) this.next.files = { ...this.next.files };
    (this.next.files as Record<string, FileState>)[file.path] = file;
  }

  private first(part: keyof MissionState): boolean {
    if (this.copied.has(part)) return false;
    this.copied.add(part);
    return true;
  }
}
