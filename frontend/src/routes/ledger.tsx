import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { LedgerPage } from '@/features/ledger';

const route = getRouteApi('/ledger');

export function LedgerRoute() {
  const { memo = false } = route.useSearch();
  const navigate = useNavigate();
  const setMemo = (on: boolean) => void navigate({ to: '/ledger', search: on ? { memo: true } : {}, replace: true });
  return <LedgerPage memo={memo} onMemo={setMemo} />;
}
