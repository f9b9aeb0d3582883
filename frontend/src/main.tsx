import '@fontsource-variable/inter/index.css';
import '@fontsource-variable/jetbrains-mono/index.css';
import './styles/app.css';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Provider } from 'urql';
import { router } from '@/app/router';
import { client } from '@/lib/graphql/client';
import { watchKeyboard } from '@/lib/keyboard/shortcuts';
import { watchBrowser } from '@/lib/realtime/connection';

watchBrowser();
watchKeyboard();

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');
createRoot(root).render(
  <StrictMode>
    <Provider value={client}>
      <RouterProvider router={router} />
    </Provider>
  </StrictMode>,
);
