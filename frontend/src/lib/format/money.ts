/** Money is whole nano-USD in events and decimal strings in GraphQL; it is never a float on its way to the screen. */
const NANO = 1_000_000_000n;
const FEWEST_DECIMALS = 2;

/** `$1.25`, `$0.00042`: exact, at least two decimals, no trailing zeros beyond them. */
export function formatNano(nano: number): string {
  const whole = BigInt(Math.round(nano));
  const size = whole < 0n ? -whole : whole;
  const decimals = (size % NANO).toString().padStart(9, '0').replace(/0+$/, '').padEnd(FEWEST_DECIMALS, '0');
  return `${whole < 0n ? '−' : ''}$${group((size / NANO).toString())}.${decimals}`;
}

/** For meters: six decimals for cents and less, four for dollars, two for hundreds. */
export function formatNanoShort(nano: number): string {
  if (nano > 0 && nano < 1_000) return '<$0.000001';
  const unit = nano >= 100_000_000_000 ? 10_000_000 : nano >= 1_000_000_000 ? 100_000 : 1_000;
  return formatNano(Math.round(nano / unit) * unit);
}

/** The decimal string of the server with sign and currency. */
export function formatUsd(amount: string): string {
  const negative = amount.startsWith('-');
  const [units = '0', decimals = ''] = amount.replace('-', '').split('.');
  const shown = decimals.replace(/0+$/, '').padEnd(FEWEST_DECIMALS, '0');
  return `${negative ? '−' : ''}$${group(units)}.${shown}`;
}

function group(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+$)/g, ',');
}
