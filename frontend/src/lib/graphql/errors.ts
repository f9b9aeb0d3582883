/** What can go wrong between the client and the server, in a form that can be shown. */
import type { CombinedError } from '@urql/core';
import type { GraphQLFormattedError } from 'graphql';

export interface Problem {
  /** The stable code of the server, or `NETWORK`. */
  code: string;
  /** One sentence. */
  message: string;
  /** Whether the server never saw, or never answered, the request. */
  unsent: boolean;
}

export function isSignedOut(error: Pick<GraphQLFormattedError, 'extensions'>): boolean {
  return error.extensions?.code === 'UNAUTHENTICATED';
}

const HTTP_UNAUTHORIZED = 401;

export function signedOut(error: CombinedError): boolean {
  const response: unknown = error.response;
  const status = typeof response === 'object' && response !== null && 'status' in response ? response.status : 0;
  return status === HTTP_UNAUTHORIZED || error.graphQLErrors.some(isSignedOut);
}

export function problemOf(error: CombinedError): Problem {
  const first = error.graphQLErrors[0];
  if (first !== undefined) {
    return { code: String(first.extensions?.code ?? 'INTERNAL'), message: sentence(first.message), unsent: false };
  }
  return { code: 'NETWORK', message: 'The server did not answer. Nothing is lost; try again.', unsent: true };
}

function sentence(text: string): string {
  const trimmed = text.trim();
  if (trimmed === '') return 'Something failed.';
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
