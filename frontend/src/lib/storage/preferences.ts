/** What a person likes, kept in this browser. */
import { create } from 'zustand';
import { load, save } from './local';

type Theme = 'NeonCyberNight' | 'SerialSteel';

interface Preferences {
  theme: Theme;
  sessionsOpen: boolean;
  bannerDismissed: boolean;
  toggleTheme: () => void;
  setSessionsOpen: (open: boolean) => void;
  dismissBanner: () => void;
}

export const usePreferences = create<Preferences>((set, get) => ({
  theme: document.documentElement.dataset.theme === 'SerialSteel' ? 'SerialSteel' : 'NeonCyberNight',
  sessionsOpen: load('sessions') !== 'closed',
  bannerDismissed: load('banner.scripted') === 'dismissed',
  toggleTheme: () => {
    const theme = get().theme === 'NeonCyberNight' ? 'SerialSteel' : 'NeonCyberNight';
    document.documentElement.dataset.theme = theme;
    save('theme', theme);
    set({ theme });
  },
  setSessionsOpen: (sessionsOpen) => {
    save('sessions', sessionsOpen ? 'open' : 'closed');
    set({ sessionsOpen });
  },
  dismissBanner: () => {
    save('banner.scripted', 'dismissed');
    set({ bannerDismissed: true });
  },
}));
