/** Whether this browser is signed in, as far as the server has told. */
import { createStore } from 'zustand/vanilla';

export const auth = createStore<{ signedOut: boolean; unreadable: boolean }>(() => ({
  signedOut: false,
  unreadable: false,
}));

export function reportSignedOut(): void {
  auth.setState({ signedOut: true });
}

/** The server speaks another protocol than this page: a new version is there. */
export function reportUnreadable(): void {
  auth.setState({ unreadable: true });
}
