import { type Build, numberOf } from '../model/builds';
import { type Progress, progressWords } from '../model/format';

const STILL: Record<string, string> = {
  rebuilding: 'Nothing was heard of it for a while. Whoever worked on it may have left it.',
  following:
    'Nothing was heard of it for a while. Its rows may differ from those that serve: then it waits for a word.',
};

interface Props {
  build: Build;
  progress: Progress | null;
  still: boolean;
}

/** How far the build under way has come. Progress of another build says nothing about it. */
export function RebuildProgress({ build, progress, still }: Props) {
  const own = progress?.build === numberOf(build) ? progress : null;
  const words = own ? progressWords(own) : build.state === 'following' ? 'Following the log' : 'Beginning';
  const percent = own ? Math.floor(own.percent) : 0;
  return (
    <div className="sticky left-0 flex w-fit max-w-[100vw] flex-wrap items-center gap-x-3 gap-y-1 px-3 pb-2">
      <div
        role="progressbar"
        aria-label={`Rebuild of ${build.name}`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent}
        aria-valuetext={words}
        className="flex h-2 w-60 overflow-hidden rounded-full bg-sunken ring-1 ring-inset ring-line"
      >
        <span className="bg-accent-fill" style={{ width: `${percent}%` }} />
      </div>
      <p className="text-text-2">
        {words}
        {own && (
          <span className="text-text-3">
            {' '}
            · {own.eventsDone.toLocaleString('en')} of {own.eventsTotal.toLocaleString('en')} events
          </span>
        )}
      </p>
      {still && <p className="basis-full text-warn">{STILL[build.state]}</p>}
    </div>
  );
}
