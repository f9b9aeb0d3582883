import { useStore } from 'zustand';
import { auth } from '@/lib/graphql/auth';
import { Shell } from './Shell';
import { NewVersion, SignedOut } from './SignedOut';

export function Root() {
  const { signedOut, unreadable } = useStore(auth);
  if (signedOut) return <SignedOut />;
  return (
    <>
      <Shell />
      {unreadable && <NewVersion />}
    </>
  );
}
