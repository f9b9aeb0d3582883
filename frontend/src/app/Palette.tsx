import { useNavigate } from '@tanstack/react-router';
import { Command } from 'cmdk';
import { useQuery } from 'urql';
import { Dialog } from '@/components/ui/Dialog';
import { graphql } from '@/lib/graphql/gen';
import { allShortcuts } from '@/lib/keyboard/shortcuts';
import { usePreferences } from '@/lib/storage/preferences';

const PaletteSessions = graphql(`
  query PaletteSessions {
    sessions(first: 20) {
      edges {
        node {
          id
          title
        }
      }
    }
  }
`);

const ITEM =
  'flex h-8 cursor-pointer items-center justify-between gap-3 rounded-ctl px-2 aria-selected:bg-primary-soft';

/** Every command and the newest sessions, by a few letters. */
export default function Palette({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const toggleTheme = usePreferences((preferences) => preferences.toggleTheme);
  const [{ data }] = useQuery({ query: PaletteSessions, requestPolicy: 'cache-and-network' });
  const commands = allShortcuts().filter(({ keys }) => keys !== 'Ctrl+K');
  const choose = (run: () => void) => () => {
    onClose();
    // The dialog gives the focus back first; a command may then move it.
    setTimeout(run);
  };
  return (
    <Dialog open onClose={onClose} title="Command palette" bare>
      <Command label="Command palette" className="flex flex-col">
        <Command.Input
          autoFocus
          placeholder="Type a command or a session's title"
          className="h-11 shrink-0 border-b border-line bg-transparent px-4 text-chat outline-none"
        />
        <Command.List className="max-h-80 overflow-auto p-2">
          <Command.Empty className="px-2 py-3 text-text-3">Nothing matches.</Command.Empty>
          <Command.Group heading={<span className="px-2 text-meta text-text-3">Commands</span>}>
            <Command.Item className={ITEM} onSelect={choose(toggleTheme)}>
              Switch the theme
            </Command.Item>
            {commands.map(({ keys, label, run }) => (
              <Command.Item key={keys} className={ITEM} onSelect={choose(run)}>
                {label} <kbd className="font-mono text-meta text-text-3">{keys}</kbd>
              </Command.Item>
            ))}
          </Command.Group>
          <Command.Group heading={<span className="px-2 text-meta text-text-3">Sessions</span>}>
            {data?.sessions.edges.map(({ node: { id, title } }) => (
              <Command.Item
                key={id}
                value={`${title} ${id}`}
                className={ITEM}
                onSelect={choose(() => void navigate({ to: '/s/$sessionId', params: { sessionId: id } }))}
              >
                <span className="truncate">{title}</span>
              </Command.Item>
            ))}
          </Command.Group>
        </Command.List>
      </Command>
    </Dialog>
  );
}
