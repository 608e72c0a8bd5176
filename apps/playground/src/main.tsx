/**
 * The page's door: puts the app into the document and starts what lives outside of it.
 */
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import * as z from 'zod/mini';
import { followModels } from './conversation/service-models.ts';
import { App } from './view/app.tsx';
import { followTheme } from './view/theme.ts';
import './style/foundation.css';

// The page's content security policy forbids code made from strings, which zod would otherwise try.
z.config({ jitless: true });

followTheme();
followModels();

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
