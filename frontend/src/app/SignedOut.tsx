import { KeyRound } from 'lucide-react';
import { CodeBlock } from '@/components/ui/CodeBlock';

/** Daybook has no password form yet: the link in the terminal signs in. */
export function SignedOut() {
  return (
    <main id="main" className="flex min-h-dvh items-center justify-center p-6">
      <div className="flex w-full max-w-[460px] flex-col gap-3 rounded-box border border-line bg-surface p-6 shadow-glow">
        <KeyRound size={22} aria-hidden className="text-primary" />
        <h1 className="text-title font-semibold">You are not signed in</h1>
        <p className="text-chat text-text-2">
          Open the link that <code className="font-mono text-code">daybook demo</code> printed in the terminal. It signs
          this browser in. The link is gone? Start Daybook again, and it prints a new one:
        </p>
        <CodeBlock text="daybook demo" />
      </div>
    </main>
  );
}

/** The server speaks a newer protocol than this page. */
export function NewVersion() {
  return (
    <div
      role="alert"
      className="fixed inset-x-0 bottom-8 z-20 mx-auto flex w-fit items-center gap-3 rounded-box border border-warn bg-warn-soft px-4 py-2 text-warn"
    >
      A new version of Daybook is running. Copy what you have not sent, then
      <button type="button" className="font-semibold underline" onClick={() => location.reload()}>
        reload
      </button>
    </div>
  );
}
