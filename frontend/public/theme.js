// Runs before the first paint, so that the page never flashes in the other theme.
(() => {
  let stored = null;
  try {
    stored = localStorage.getItem('daybook.theme');
  } catch {
    // Storage may be blocked; the system's preference then decides.
  }
  const dark = stored ? stored === 'NeonCyberNight' : matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.theme = dark ? 'NeonCyberNight' : 'SerialSteel';
})();
