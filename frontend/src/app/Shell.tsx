import { Link, Outlet, useNavigate, useParams, useRouterState } from '@tanstack/react-router';
import { BookOpen, CircleHelp, Layers, Moon, PanelLeft, Radar, Scale, Sun } from 'lucide-react';
import { lazy, type ReactNode, Suspense, useEffect, useRef, useState } from 'react';
import { Dialog } from '@/components/ui/Dialog';
import { ModelBanner } from '@/features/provider';
import { SessionList, useSessionsChanged } from '@/features/sessions';
import { useViewer } from '@/features/viewer';
import { useShortcuts } from '@/lib/keyboard/shortcuts';
import { usePreferences } from '@/lib/storage/preferences';
import { ShortcutSheet } from './ShortcutSheet';
import { StatusBar } from './StatusBar';

const Palette = lazy(() => import('./Palette'));
const WIDE = '(min-width: 1280px)';
const TO_PROJECTIONS = { keys: 'G P', label: 'Go to the projections', group: 'Everywhere' } as const;

/** Rail, session list, the page, and the status bar. */
export function Shell() {
  const { theme, toggleTheme, sessionsOpen, setSessionsOpen } = usePreferences();
  const [overlay, setOverlay] = useState(false);
  const [help, setHelp] = useState(false);
  const [palette, setPalette] = useState(false);
  const navigate = useNavigate();
  const lastSession = useLastSession();
  const admin = useViewer()?.role === 'ADMIN';
  useSessionsChanged();
  useFocusOnNavigation();

  const toggleSessions = () => (matchMedia(WIDE).matches ? setSessionsOpen(!sessionsOpen) : setOverlay(!overlay));
  const toMission = () =>
    void (lastSession ? navigate({ to: '/s/$sessionId', params: { sessionId: lastSession } }) : navigate({ to: '/' }));
  const focusSearch = () => {
    if (!matchMedia(WIDE).matches) setOverlay(true);
    else setSessionsOpen(true);
    setTimeout(() => document.querySelector<HTMLInputElement>('input[aria-label="Search sessions by title"]')?.focus());
  };
  useShortcuts([
    { keys: 'Ctrl+K', label: 'Command palette', group: 'Everywhere', run: () => setPalette(true) },
    { keys: 'Ctrl+B', label: 'Show or hide the sessions', group: 'Everywhere', run: toggleSessions },
    { keys: 'G M', label: 'Go to Mission Control', group: 'Everywhere', run: toMission },
    { keys: 'G S', label: 'Go to the sessions', group: 'Everywhere', run: focusSearch },
    { keys: 'G N', label: 'Go to a new task', group: 'Everywhere', run: () => void navigate({ to: '/' }) },
    { keys: 'G L', label: 'Go to the ledger', group: 'Everywhere', run: () => void navigate({ to: '/ledger' }) },
    ...(admin ? [{ ...TO_PROJECTIONS, run: () => void navigate({ to: '/admin/projections' }) }] : []),
    { keys: '?', label: 'Show all shortcuts', group: 'Everywhere', run: () => setHelp(true) },
  ]);

  return (
    <div className="flex h-dvh flex-col overflow-hidden">
      <a
        href="#main"
        className="absolute -top-10 left-2 z-50 rounded-ctl bg-primary-fill px-3 py-1 text-on-primary focus:top-2"
      >
        Skip to the content
      </a>
      <ModelBanner />
      <div className="flex min-h-0 flex-1 max-sm:flex-col-reverse">
        <nav
          aria-label="Main"
          className="flex w-12 shrink-0 flex-col items-center gap-1 border-r border-line bg-surface py-2 max-sm:h-11 max-sm:w-full max-sm:flex-row max-sm:border-t max-sm:border-r-0 max-sm:px-2 max-sm:py-0"
        >
          <RailLink to="/" label="New task">
            <BookOpen size={18} aria-hidden />
          </RailLink>
          <RailButton label="Sessions (Ctrl+B)" pressed={sessionsOpen} onClick={toggleSessions}>
            <PanelLeft size={18} aria-hidden />
          </RailButton>
          {lastSession && (
            <Link
              to="/s/$sessionId"
              params={{ sessionId: lastSession }}
              aria-label="Mission Control"
              title="Mission Control (G M)"
              className={RAIL}
              activeProps={{ className: RAIL_CURRENT }}
            >
              <Radar size={18} aria-hidden />
            </Link>
          )}
          <RailLink to="/ledger" label="Ledger">
            <Scale size={18} aria-hidden />
          </RailLink>
          {admin && (
            <RailLink to="/admin/projections" label="Projections">
              <Layers size={18} aria-hidden />
            </RailLink>
          )}
          <span className="flex-1" />
          <RailButton label="Keyboard shortcuts" onClick={() => setHelp(true)}>
            <CircleHelp size={18} aria-hidden />
          </RailButton>
          <RailButton label={theme === 'NeonCyberNight' ? 'Light theme' : 'Dark theme'} onClick={toggleTheme}>
            {theme === 'NeonCyberNight' ? <Sun size={18} aria-hidden /> : <Moon size={18} aria-hidden />}
          </RailButton>
        </nav>
        {sessionsOpen && (
          <div className="w-60 shrink-0 border-r border-line bg-surface max-xl:hidden">
            <SessionList />
          </div>
        )}
        <div className="flex min-h-0 min-w-0 flex-1 flex-col">
          <Outlet />
        </div>
      </div>
      <StatusBar />
      <Dialog open={overlay} onClose={() => setOverlay(false)} title="Sessions" side="left" bare>
        <SessionList onChosen={() => setOverlay(false)} />
      </Dialog>
      <ShortcutSheet open={help} onClose={() => setHelp(false)} />
      {palette && (
        <Suspense>
          <Palette onClose={() => setPalette(false)} />
        </Suspense>
      )}
    </div>
  );
}

/** A new page begins at its heading, for those who do not see that it changed. */
function useFocusOnNavigation(): void {
  const path = useRouterState({ select: ({ resolvedLocation }) => resolvedLocation?.pathname });
  const first = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the path is what the effect waits for.
  useEffect(() => {
    if (!first.current) document.querySelector<HTMLElement>('main h1')?.focus({ preventScroll: true });
    first.current = false;
  }, [path]);
}

/** The session that was open last, so that leaving Mission Control does not lose it. */
function useLastSession(): string | null {
  const { sessionId } = useParams({ strict: false });
  const [last, setLast] = useState<string | null>(null);
  useEffect(() => {
    if (sessionId) setLast(sessionId);
  }, [sessionId]);
  return sessionId ?? last;
}

const RAIL = 'flex size-9 items-center justify-center rounded-ctl text-text-3 hover:bg-hover hover:text-text';
const RAIL_CURRENT = 'bg-primary-soft text-primary';

function RailLink(props: { to: '/' | '/ledger' | '/admin/projections'; label: string; children: ReactNode }) {
  const { to, label, children } = props;
  return (
    <Link
      to={to}
      aria-label={label}
      title={label}
      className={RAIL}
      activeProps={{ className: RAIL_CURRENT }}
      activeOptions={{ exact: true }}
    >
      {children}
    </Link>
  );
}

function RailButton(props: { label: string; pressed?: boolean; onClick: () => void; children: ReactNode }) {
  return (
    <button
      type="button"
      aria-label={props.label}
      title={props.label}
      aria-pressed={props.pressed}
      onClick={props.onClick}
      className={RAIL}
    >
      {props.children}
    </button>
  );
}
