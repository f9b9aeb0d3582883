// The scripted run: plan, write, ask, test, mend, deliver. It appends the same events as the real one.
import * as text from './texts.mjs';

export class Story {
  constructor(world, session, run) {
    this.world = world;
    this.session = session;
    this.run = run;
    this.uuid = run.id.slice('run:'.length);
    this.step = 0;
    this.phase = 'idle';
  }

  add(type, payload, actor) {
    if (this.run.cancelled && !type.startsWith('run.')) throw new Error('cancelled');
    return this.world.append(this.session, this.run.id, type, payload, actor);
  }

  requested(messageId, trigger = 'message') {
    const { id, task } = this.run;
    this.add(
      'run.requested',
      {
        run_id: id,
        session_id: this.session.id,
        workspace_id: this.session.workspaceId,
        mode: 'BUILD',
        trigger,
        message_id: messageId,
        task: { text: task },
        model: text.MODEL,
        approval_policy: 'standard',
        limits: text.LIMITS,
        requested_at: new Date().toISOString(),
      },
      this.world.userId,
    );
    this.add('step.requested', { step_no: 1, attempt: 1, purpose: 'plan' });
  }

  enter(to, reason) {
    this.add('run.phase_changed', { from: this.phase, to, reason });
    this.phase = to;
  }

  async play() {
    try {
      await this.world.wait(500);
      if (/count/i.test(this.run.task)) await this.count();
      else if (/fail/i.test(this.run.task)) await this.fail();
      else await this.roman();
    } catch (problem) {
      if (!this.run.cancelled) throw problem;
    }
  }

  async roman() {
    this.enter('planning', 'a task came in');
    await this.turn('plan', text.THINK_PLAN, text.SAY_PLAN, async () => {
      this.plan('plan.proposed', 0);
      await this.call('update_plan', { items: text.PLAN }, () => ({ output: 'The plan is noted.' }));
    });
    this.enter('executing', 'there is a plan');
    await this.turn('act', text.THINK_WRITE, null, async () => {
      await this.write('roman.py', text.ROMAN);
      this.plan('plan.revised', 1);
      await this.write('test_roman.py', text.TESTS);
      this.plan('plan.revised', 2);
    });
    let granted = true;
    await this.turn('act', 'A quick trial by hand before the tests run.', null, async () => {
      granted = await this.call(
        'bash',
        { command: text.COMMAND },
        () => ({ output: text.COMMAND_OUTPUT, exit_code: 0 }),
        {
          asks: 'this command may change something',
          streams: true,
        },
      );
    });
    await this.turn('act', null, granted ? null : text.SAY_DENIED, async () => {
      this.enter('testing', 'tests are to run');
      await this.tests(text.RED, 2, 1);
    });
    this.enter('fixing', '1 tests are red');
    this.add('fix.attempted', { attempt: 1, failed: 1 });
    await this.turn('fix', text.THINK_FIX, null, async () => {
      const edit = { path: 'roman.py', old_text: '0 <= number', new_text: '1 <= number' };
      await this.call('edit_file', edit, (id) => {
        this.file('file.modified', 'roman.py', 1, 1, text.FIX_PATCH, id);
        return { output: 'Replaced 1 place in roman.py.' };
      });
      this.enter('testing', 'tests are to run');
      await this.tests(text.GREEN, 3, 0);
    });
    this.plan('plan.revised', 4);
    await this.turn('deliver', null, text.SAY_DONE, async () => {});
    this.end('The converter is written and all 3 tests pass.');
  }

  async count() {
    this.enter('planning', 'a task came in');
    await this.turn('plan', 'One loop in the shell does it.', 'I will count with a shell loop.', async () => {});
    this.enter('executing', 'there is a plan');
    await this.turn('act', null, null, async () => {
      await this.call(
        'bash',
        { command: 'for i in 1 2 3 4 5; do echo $i; sleep 1; done' },
        () => ({ output: '1\n2\n3\n4\n5\n', exit_code: 0 }),
        {
          asks: 'this command may change something',
          streams: true,
        },
      );
    });
    this.enter('testing', 'nothing to change');
    this.add('tests.skipped', { reason: 'no file was changed' });
    await this.turn('deliver', null, 'Counted from one to five, a second apart.', async () => {});
    this.end('Counted to five.');
  }

  async fail() {
    this.enter('planning', 'a task came in');
    await this.world.wait(800);
    this.enter('error', 'the provider failed');
    const message = 'The provider did not answer within 60 seconds. Try again in a moment.';
    const error = { kind: 'timeout', retryable: true, user_action: 'retry', message };
    this.run.status = 'ENDED';
    this.run.outcome = 'FAILED';
    this.add('run.failed', { error, phase: 'planning' });
  }

  async turn(purpose, thinking, words, calls) {
    const { world, session, run } = this;
    this.step += 1;
    const [step_no, attempt] = [this.step, 1];
    const llm_call_id = world.id('llm_call');
    const about = { llm_call_id, session_id: session.id, run_id: run.id };
    if (step_no > 1) this.add('step.requested', { step_no, attempt, purpose });
    this.add('spend.reserved', {
      ...about,
      model: text.MODEL,
      price_id: 'price:1',
      origin: 'notional',
      est_input_tokens: 900,
      max_output_tokens: 4096,
      est_nanousd: 21_400_000,
    });
    this.add('step.started', { step_no, attempt, worker_id: 'worker:fake', llm_call_id, model: text.MODEL });
    await world.wait(350);
    const item = `step:${this.uuid}:${step_no}:${attempt}`;
    if (thinking) {
      await world.stream(session, run.id, `${item}:thinking`, 'THINKING', thinking, { ms: 22, size: 9 });
    }
    if (words) await world.stream(session, run.id, `${item}:text`, 'TEXT', words, { ms: 26, size: 7 });
    world.settleLive(session, item);
    if (thinking)
      this.add('thinking.completed', { step_no, content: { text: thinking }, duration_ms: thinking.length * 3 });
    if (words) {
      const message_id = world.id('message');
      this.add('assistant_message.completed', { message_id, step_no, content: { text: words }, cadence: [] });
    }
    const cost = 1_000_000 * (3 + step_no) + 417_000;
    const tokens = {
      input_tokens: 700 + step_no * 310,
      cache_read_tokens: step_no > 1 ? 512 : 0,
      output_tokens: 180 + (words?.length ?? 0),
    };
    this.add('usage.metered', { ...about, model: text.MODEL, calls: 1, tokens, usage_source: 'provider' });
    this.add('usage.charged', {
      ...about,
      model: text.MODEL,
      price_id: 'price:1',
      origin: 'notional',
      lines: [],
      cost_nanousd: cost,
      postings: [],
    });
    this.add('reservation.settled', {
      llm_call_id,
      session_id: session.id,
      reserved_nanousd: 21_400_000,
      actual_nanousd: cost,
    });
    run.spent = (run.spent ?? 0) + cost;
    world.postings?.push({ about, cost, at: new Date().toISOString(), position: `1-${world.position}` });
    this.add('step.completed', { step_no, attempt, llm_call_id, finish_reason: 'stop', cost_nanousd: cost });
    await calls();
  }

  /** One tool call; false when a person said no. */
  async call(tool, args, act, { asks, streams } = {}) {
    const { world, session, run } = this;
    const id = world.id('tool_call');
    this.add('tool_call.requested', {
      tool_call_id: id,
      step_no: this.step,
      index: 0,
      provider_call_id: 'c',
      tool,
      arguments: { text: JSON.stringify(args) },
    });
    if (asks && !run.granted) {
      const approval_id = id.replace('tool_call:', 'approval:');
      this.add('approval.requested', {
        approval_id,
        tool_call_id: id,
        reason: asks,
        offered_scopes: ['once', 'run'],
        asked_at: new Date().toISOString(),
      });
      session.pendingApprovals = 1;
      const asked = Date.now();
      const answer = await new Promise((resolve) => session.decisions.set(approval_id, resolve));
      session.pendingApprovals = 0;
      const decision = {
        approval_id,
        tool_call_id: id,
        decided_by: world.userId,
        via: 'web',
        waited_ms: Date.now() - asked,
      };
      if (answer.answer === 'DENY') {
        this.add('approval.denied', { ...decision, reason: answer.reason ?? '' }, world.userId);
        this.add('tool_call.declined', { tool_call_id: id, reason: answer.reason || 'a person said no' });
        return false;
      }
      this.add('approval.granted', { ...decision, scope: answer.scope.toLowerCase() }, world.userId);
    }
    this.add('tool_call.approved', { tool_call_id: id, by: asks ? 'person' : 'policy' });
    const began = Date.now();
    this.add('tool_call.started', { tool_call_id: id, worker_id: 'worker:fake', timeout_ms: 120_000 });
    await world.wait(300);
    const result = act(id);
    if (streams)
      await world.stream(session, run.id, id, 'TOOL_OUTPUT', result.output, {
        ms: 500,
        size: Math.max(2, result.output.length / 6),
      });
    world.settleLive(session, id);
    this.add('tool_call.succeeded', {
      tool_call_id: id,
      ...result,
      duration_ms: Date.now() - began,
      output: { text: result.output },
    });
    return true;
  }

  write(path, content) {
    const lines = content.split('\n').length - 1;
    return this.call('write_file', { path, content }, (id) => {
      this.file('file.created', path, lines, 0, text.created(path, content), id, content.length);
      return { output: `Wrote ${lines} lines to ${path}.` };
    });
  }

  file(type, path, lines_added, lines_removed, patch, tool_call_id, bytes) {
    const change = {
      path,
      bytes,
      lines_added,
      lines_removed,
      patch: { text: patch },
      run_id: this.run.id,
      tool_call_id,
    };
    this.add(type, change);
  }

  tests(output, passed, failed) {
    return this.call('run_tests', { command: 'python3 -m unittest -v' }, (tool_call_id) => {
      const ran = {
        tool_call_id,
        framework: 'unittest',
        command: 'python3 -m unittest -v',
        passed,
        failed,
        skipped: 0,
        duration_ms: 212,
      };
      this.add('tests.ran', ran);
      return { output, exit_code: failed > 0 ? 1 : 0 };
    });
  }

  plan(type, done) {
    this.add(type, { step_no: this.step, items: text.planItems(done) });
  }

  end(summary) {
    this.enter('done', 'the agent is finished');
    this.run.status = 'ENDED';
    this.run.outcome = 'SUCCEEDED';
    this.add('run.completed', { summary, steps: this.step, duration_ms: 0, cost_nanousd: this.run.spent ?? 0 });
  }
}
