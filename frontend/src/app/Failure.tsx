import { type ErrorComponentProps, Link } from '@tanstack/react-router';
import { Button } from '@/components/ui/Button';

/** A page that broke says so, and lets one go on. */
export function Failure({ error, reset }: ErrorComponentProps) {
  return (
    <main id="main" className="flex flex-col items-start gap-3 p-6">
      <h1 className="text-title font-semibold">This page broke</h1>
      <p className="text-text-2">{error instanceof Error ? error.message : String(error)}</p>
      <div className="flex gap-2">
        <Button tone="primary" onClick={reset}>
          Try again
        </Button>
        <Button onClick={() => location.reload()}>Reload</Button>
      </div>
    </main>
  );
}

export function NotFound() {
  return (
    <main id="main" className="flex flex-col items-start gap-3 p-6">
      <h1 className="text-title font-semibold">There is no such page</h1>
      <Link to="/" className="text-primary underline underline-offset-2">
        To the start
      </Link>
    </main>
  );
}
