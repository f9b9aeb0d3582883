import { Clapperboard } from 'lucide-react';
import { useQuery } from 'urql';
import { Badge } from '@/components/ui/Badge';
import { modelName } from '@/lib/format/text';
import { graphql } from '@/lib/graphql/gen';

export const ModelInForce = graphql(`
  query ModelInForce {
    modelProvider {
      provider
      model
      scripted
      contextWindowTokens
      ...ModelBanner_provider
    }
  }
`);

/** The model of a run. That it is scripted is always said, whatever was dismissed. */
export function ModelLabel({ model }: { model: string | null }) {
  const [{ data }] = useQuery({ query: ModelInForce });
  const provider = data?.modelProvider;
  const name = model ?? provider?.model ?? '';
  const scripted =
    model === null
      ? provider?.scripted
      : name.startsWith('scripted') || (provider?.scripted && name === provider.model);
  return (
    <span className="flex min-w-0 items-center gap-1.5 text-text-3">
      {!(scripted && modelName(name) === 'scripted') && (
        <span className="truncate font-mono text-code">
          {name === 'unknown' ? 'model not recorded' : modelName(name)}
        </span>
      )}
      {scripted && (
        <Badge tone="info" title="Its answers follow a script; the tools they call are real.">
          <Clapperboard size={11} aria-hidden /> scripted model
        </Badge>
      )}
    </span>
  );
}
