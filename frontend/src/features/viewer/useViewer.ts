import { useQuery } from 'urql';
import { graphql } from '@/lib/graphql/gen';
import type { ViewerInForceQuery } from '@/lib/graphql/gen/graphql';

const ViewerInForce = graphql(`
  query ViewerInForce {
    viewer {
      userId
      name
      role
    }
  }
`);

/** Who is signed in; null until the server has said so. The server decides what each may do, the client what it offers. */
export function useViewer(): ViewerInForceQuery['viewer'] | null {
  const [{ data }] = useQuery({ query: ViewerInForce });
  return data?.viewer ?? null;
}
