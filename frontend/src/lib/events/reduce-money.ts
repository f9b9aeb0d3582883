/** What events say of tokens and money. Amounts are whole nano-USD; the three origins are never added up. */
import type { Draft } from './draft';
import type { UsageState } from './state';
import type { KnownEvent, TokenCounts } from './types';

export function reduceMoney(draft: Draft, event: KnownEvent): void {
  switch (event.eventType) {
    case 'spend.reserved': {
      const { run_id, llm_call_id, est_nanousd } = event.payload;
      return change(draft, run_id, ({ reserved }) => ({ reserved: { ...reserved, [llm_call_id]: est_nanousd } }));
    }
    case 'reservation.settled':
    case 'reservation.released': {
      const { llm_call_id } = event.payload;
      for (const id of draft.state.runIds) {
        if (!(llm_call_id in (draft.state.runs[id]?.usage.reserved ?? {}))) continue;
        change(draft, id, ({ reserved: { [llm_call_id]: _settled, ...reserved } }) => ({ reserved }));
      }
      return;
    }
    case 'usage.metered': {
      const { run_id, calls, tokens, usage_source } = event.payload;
      return change(draft, run_id, (usage) => ({
        calls: usage.calls + calls,
        estimatedCalls: usage.estimatedCalls + (usage_source === 'estimated' ? calls : 0),
        tokens: addTokens(usage.tokens, tokens),
      }));
    }
    case 'usage.charged': {
      const { run_id, origin, cost_nanousd } = event.payload;
      return change(draft, run_id, ({ spentNano }) => ({
        spentNano: { ...spentNano, [origin]: spentNano[origin] + cost_nanousd },
      }));
    }
  }
}

function change(draft: Draft, runId: string, make: (usage: UsageState) => Partial<UsageState>): void {
  draft.run(runId, ({ usage }) => ({ usage: { ...usage, ...make(usage) } }));
}

/** Adds class by class. What neither side reports stays unreported; it does not become zero. */
function addTokens(a: TokenCounts, b: TokenCounts): TokenCounts {
  const sum: TokenCounts = { ...a };
  for (const key of Object.keys(b) as (keyof TokenCounts)[]) {
    const more = b[key];
    if (more !== undefined && more !== null) sum[key] = (sum[key] ?? 0) + more;
  }
  return sum;
}

export function addUsage(a: UsageState, b: UsageState): UsageState {
  return {
    calls: a.calls + b.calls,
    estimatedCalls: a.estimatedCalls + b.estimatedCalls,
    tokens: addTokens(a.tokens, b.tokens),
    spentNano: {
      metered: a.spentNano.metered + b.spentNano.metered,
      notional: a.spentNano.notional + b.spentNano.notional,
      imported: a.spentNano.imported + b.spentNano.imported,
    },
    reserved: { ...a.reserved, ...b.reserved },
  };
}
