/**
 * React's styles may set the custom properties that the style sheets read.
 */
import 'react';

declare module 'react' {
  interface CSSProperties {
    '--surprise'?: string;
    '--filled'?: string;
  }
}
