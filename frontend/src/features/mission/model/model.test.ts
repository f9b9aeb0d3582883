import { describe, expect, it } from 'vitest';
import { emptyMission, fold } from '@/lib/events/reduce';
import { runId, story } from '@/test/events';
import { stages } from './pipeline';
import { agentStatus } from './status';

const { all } = story();
const until = (eventType: string) =>
  fold(emptyMission(), all.slice(0, all.findIndex((event) => event.eventType === eventType) + 1));
const marks = (eventType: string) => stages(until(eventType).runs[runId] ?? null).map(({ status }) => status);

describe('the pipeline', () => {
  it('shows where the run is', () => {
    expect(marks('session.started')).toEqual(['pending', 'pending', 'pending', 'pending']);
    expect(marks('step.started')).toEqual(['current', 'pending', 'pending', 'pending']);
    expect(marks('approval.requested')).toEqual(['done', 'current', 'pending', 'pending']);
    expect(marks('fix.attempted')).toEqual(['done', 'done', 'failed', 'current']);
    expect(marks('run.completed')).toEqual(['done', 'done', 'done', 'done']);
  });
});

describe('the status of the agent', () => {
  it('says what is awaited and since when', () => {
    expect(agentStatus(until('run.requested'))).toMatchObject({ word: 'Queued', cause: 'for a free worker' });
    expect(agentStatus(until('step.started'))).toMatchObject({ word: 'Working', cause: 'making a plan (step 1)' });
    const waiting = agentStatus(until('approval.requested'));
    expect(waiting).toMatchObject({ word: 'Waiting for you', cause: 'approval: rm a', since: '2026-01-01T00:00:21Z' });
    expect(agentStatus(until('run.completed'))).toMatchObject({ word: 'Done', cause: '3 of 3 tests pass' });
  });
});
