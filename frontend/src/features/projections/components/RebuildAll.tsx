import { useStore } from 'zustand';
import { Button } from '@/components/ui/Button';
import { Notice } from '@/components/ui/Notice';
import { all, forgetRefused, leaveTheRest } from '../model/rebuildAll';

/** Begins to rebuild everything. While that goes on, it can be stopped between two. */
export function RebuildAllButton({ names, onAsk }: { names: readonly string[]; onAsk: () => void }) {
  const { current, left } = useStore(all);
  if (current === null) {
    return (
      <Button disabled={names.length === 0} onClick={onAsk}>
        Rebuild all
      </Button>
    );
  }
  return (
    <span className="flex items-center gap-2 text-text-2">
      {current} is being rebuilt, {left.length === 0 ? 'the last one' : `${left.length} more to come`}
      {left.length > 0 && (
        <Button size="small" onClick={leaveTheRest}>
          Stop after it
        </Button>
      )}
    </span>
  );
}

/** What could not be begun. */
export function RebuildAllRefused() {
  const refused = useStore(all, (state) => state.refused);
  if (refused.length === 0) return null;
  return (
    <Notice
      action={
        <Button size="small" onClick={forgetRefused}>
          Close
        </Button>
      }
    >
      {refused.map(({ name, problem }) => `${name}: ${problem.message}`).join(' ')}
    </Notice>
  );
}
