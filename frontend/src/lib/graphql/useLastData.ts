import { useState } from 'react';

/** What was last answered. A request that fails takes nothing off the screen. */
export function useLastData<T>(data: T | undefined): T | undefined {
  const [last, setLast] = useState(data);
  if (data !== undefined && data !== last) setLast(data);
  return data ?? last;
}
