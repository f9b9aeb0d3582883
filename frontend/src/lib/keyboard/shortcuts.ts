/** Every binding is a named command in one registry: the keys and the help sheet read the same list. */
import { useEffect, useRef } from 'react';

interface Shortcut {
  /** `Ctrl+B`, `J`, `?`, or two keys one after the other: `G M`. */
  keys: string;
  label: string;
  group: 'Everywhere' | 'Mission Control';
  run: () => void;
}

const registered = new Set<() => readonly Shortcut[]>();
const SEQUENCE_MS = 1_200;
let pressed: { key: string; at: number } | null = null;

export function allShortcuts(): readonly Shortcut[] {
  return [...registered].flatMap((list) => list());
}

/** Registers commands while the component is shown. */
export function useShortcuts(shortcuts: readonly Shortcut[]): void {
  const latest = useRef(shortcuts);
  useEffect(() => {
    latest.current = shortcuts;
  });
  useEffect(() => {
    const list = () => latest.current;
    registered.add(list);
    return () => {
      registered.delete(list);
    };
  }, []);
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable="true"]') !== null;
}

/** Keys that a focused control uses itself. */
function belongsToControl(event: KeyboardEvent): boolean {
  if (event.key !== 'Enter' && event.key !== ' ') return false;
  return event.target instanceof HTMLElement && event.target.closest('button, a, summary') !== null;
}

function nameOf(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
  return event.ctrlKey || event.metaKey ? `Ctrl+${key}` : key;
}

function onKeyDown(event: KeyboardEvent): void {
  const key = nameOf(event);
  const withControl = key.startsWith('Ctrl+');
  if (event.defaultPrevented || event.altKey || (!withControl && typing(event.target)) || belongsToControl(event))
    return;
  if (!withControl && document.querySelector('dialog[open]') !== null) return;
  const sequence = pressed !== null && event.timeStamp - pressed.at < SEQUENCE_MS ? `${pressed.key} ${key}` : null;
  pressed = { key, at: event.timeStamp };
  const commands = allShortcuts();
  const command =
    commands.find(({ keys }) => sequence !== null && keys === sequence) ?? commands.find(({ keys }) => keys === key);
  if (command === undefined) return;
  event.preventDefault();
  pressed = null;
  command.run();
}

export function watchKeyboard(): void {
  window.addEventListener('keydown', onKeyDown);
}
