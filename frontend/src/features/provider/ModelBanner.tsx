import { Clapperboard, X } from 'lucide-react';
import { lazy, Suspense, useState } from 'react';
import { useQuery } from 'urql';
import { Button } from '@/components/ui/Button';
import { Dialog } from '@/components/ui/Dialog';
import { type FragmentType, graphql, readFragment } from '@/lib/graphql/gen';
import { usePreferences } from '@/lib/storage/preferences';
import { ModelInForce } from './ModelLabel';

const Markdown = lazy(() => import('@/features/chat').then((chat) => ({ default: chat.Markdown })));

const ModelBannerProvider = graphql(`
  fragment ModelBanner_provider on ModelProvider {
    scripted
    howToChange
  }
`);

/** Says that the model is scripted and how to set a real one. */
export function ModelBanner() {
  const [{ data }] = useQuery({ query: ModelInForce });
  const dismissed = usePreferences(({ bannerDismissed }) => bannerDismissed);
  return data && !dismissed ? <Banner provider={data.modelProvider} /> : null;
}

function Banner({ provider }: { provider: FragmentType<typeof ModelBannerProvider> }) {
  const { scripted, howToChange } = readFragment(ModelBannerProvider, provider);
  const dismiss = usePreferences(({ dismissBanner }) => dismissBanner);
  const [open, setOpen] = useState(false);
  if (!scripted) return null;
  return (
    <aside aria-label="About the model" className="flex shrink-0 items-center gap-2 bg-info-soft px-3 py-1 text-text">
      <Clapperboard size={14} aria-hidden className="shrink-0 text-info" />
      <p className="min-w-0 flex-1">
        <strong className="font-semibold">The model is scripted.</strong>{' '}
        <span className="text-text-2 max-sm:hidden">
          Its answers follow a script; the tools, files, tests and the event log are real.
        </span>
      </p>
      <Button size="small" onClick={() => setOpen(true)}>
        Use a real model
      </Button>
      <Button tone="quiet" size="iconSmall" aria-label="Dismiss this message" onClick={dismiss}>
        <X size={14} aria-hidden />
      </Button>
      <Dialog open={open} onClose={() => setOpen(false)} title="Use a real model">
        <div className="p-4">
          <Suspense fallback={<p>{howToChange}</p>}>
            <Markdown text={howToChange} />
          </Suspense>
        </div>
      </Dialog>
    </aside>
  );
}
