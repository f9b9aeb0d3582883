import { Empty } from '@/components/ui/Notice';
import { addUsage } from '@/lib/events/reduce-money';
import type { RunState, UsageState } from '@/lib/events/state';
import { type MissionState, NO_USAGE } from '@/lib/events/state';
import { formatNanoShort } from '@/lib/format/money';
import { count, plural } from '@/lib/format/text';

export function sessionUsage({ runs, runIds }: MissionState): UsageState {
  return runIds.reduce((sum, id) => addUsage(sum, runs[id]?.usage ?? NO_USAGE), NO_USAGE);
}

function reservedOf({ reserved }: UsageState): number {
  return Object.values(reserved).reduce((sum, nano) => sum + nano, 0);
}

/** Spent, reserved and left of the run's limit. Imported money never counts against it. */
export function CostMeter({ run, usage, runs }: { run: RunState | null; usage: UsageState; runs: number }) {
  const limit = run?.limits.maxCostNano ?? 0;
  const spent = run ? run.usage.spentNano.metered + run.usage.spentNano.notional : 0;
  const reserved = run ? reservedOf(run.usage) : 0;
  const left = Math.max(0, limit - spent - reserved);
  const share = (nano: number) => (limit > 0 ? `${Math.min(100, (nano / limit) * 100)}%` : '0%');
  const { metered, notional, imported } = usage.spentNano;
  return (
    <div className="flex flex-col gap-2 px-3 pb-3">
      <div className="flex flex-col gap-1">
        <div
          role="meter"
          aria-label="Cost of this run"
          aria-valuemin={0}
          aria-valuemax={limit / 1e9}
          aria-valuenow={(spent + reserved) / 1e9}
          aria-valuetext={`${formatNanoShort(spent)} spent, ${formatNanoShort(reserved)} reserved, ${formatNanoShort(left)} left`}
          className="flex h-2 overflow-hidden rounded-full bg-sunken ring-1 ring-inset ring-line"
        >
          <span className="bg-accent-fill" style={{ width: share(spent), minWidth: spent > 0 ? 3 : 0 }} />
          <span className="hatched" style={{ width: share(reserved), minWidth: reserved > 0 ? 4 : 0 }} />
        </div>
        <p className="flex flex-wrap justify-between gap-x-2 text-meta text-text-3">
          <span>
            <b className="font-semibold text-text">{formatNanoShort(spent)}</b> spent
            {reserved > 0 && `, ${formatNanoShort(reserved)} reserved`}
          </span>
          <span>{limit > 0 ? `${formatNanoShort(left)} left of ${formatNanoShort(limit)}` : 'no limit known'}</span>
        </p>
      </div>
      {runs > 1 && <p className="text-meta text-text-3">All {runs} runs of this session:</p>}
      <dl className="grid grid-cols-3 gap-2">
        <Amount name="Metered" nano={metered} hint="billed by a provider" />
        <Amount name="Notional" nano={notional} hint="billed by nobody" />
        <Amount name="Imported" nano={imported} hint="from a record" />
      </dl>
    </div>
  );
}

function Amount({ name, nano, hint }: { name: string; nano: number; hint: string }) {
  return (
    <div title={hint} className="min-w-0">
      <dt className="text-meta text-text-3">{name}</dt>
      <dd className={`truncate font-mono text-code ${nano > 0 ? 'text-text' : 'text-text-3'}`}>
        {formatNanoShort(nano)}
      </dd>
    </div>
  );
}

/** Token classes that never overlap; what nobody reported is said to be so. */
export function Tokens({ usage }: { usage: UsageState }) {
  const { tokens, calls, estimatedCalls } = usage;
  if (calls === 0) return <Empty title="No model call yet">Counts appear as the provider reports them.</Empty>;
  const rows: [string, number | undefined][] = [
    ['Input', tokens.input_tokens],
    ['Cache read', tokens.cache_read_tokens],
    ['Cache write', tokens.cache_write_tokens],
    ['Output', tokens.output_tokens],
    ['Reasoning', tokens.reasoning_tokens],
  ];
  return (
    <div className="px-3 pb-3">
      <dl>
        {rows.map(([name, value]) => (
          <div key={name} className="flex justify-between leading-5">
            <dt className="text-text-2">{name}</dt>
            <dd className={`font-mono text-code ${value === undefined ? 'text-text-3 italic' : ''}`}>{count(value)}</dd>
          </div>
        ))}
      </dl>
      <p className="text-meta text-text-3">
        {plural(calls, 'model call')}
        {estimatedCalls > 0 && `, ${estimatedCalls} by estimate`}
      </p>
    </div>
  );
}
