/**
 * The page's few icons, drawn with one stroke so that they take the text's colour. Never the only name of a control.
 */

const PATHS = {
  send: 'M8 13V3.5M4 7.2 8 3.2l4 4',
  stop: 'M4.5 4.5h7v7h-7z',
  copy: 'M5.5 5.5v-2h7v7h-2M3.5 5.5h7v7h-7z',
  check: 'm3.5 8.5 3 3 6-7',
  again: 'M12.5 8A4.5 4.5 0 1 1 11 4.6M11.2 2v2.8H8.4',
  settings:
    'M2.5 5h6M11.5 5h2M2.5 11h2M7.5 11h6M8.5 5a1.5 1.5 0 1 0 3 0 1.5 1.5 0 1 0-3 0M4.5 11a1.5 1.5 0 1 0 3 0 1.5 1.5 0 1 0-3 0',
  sun: 'M8 5.4a2.6 2.6 0 1 0 0 5.2 2.6 2.6 0 1 0 0-5.2M8 1.8v1M8 13.2v1M1.8 8h1M13.2 8h1M3.6 3.6l.7.7M11.7 11.7l.7.7M3.6 12.4l.7-.7M11.7 4.3l.7-.7',
  moon: 'M13 9.6A5.4 5.4 0 0 1 6.4 3a5.4 5.4 0 1 0 6.6 6.6z',
  system: 'M2.5 3.5h11v7.5h-11zM6 13.5h4',
  columns: 'M2.5 3.5h11v9h-11zM8 3.5v9',
  close: 'm4.5 4.5 7 7M11.5 4.5l-7 7',
  fresh: 'M8 3.5v9M3.5 8h9',
  spread: 'M3 13V9.5M6.3 13V3M9.7 13V7M13 13v-2',
} as const;

export function Icon({ name }: { readonly name: keyof typeof PATHS }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path
        className="mark-hull"
        d="M5 11h22l-4.2 8.4a3 3 0 0 1-2.7 1.6H11a3 3 0 0 1-2.6-1.5z"
        transform="rotate(12 16 16)"
      />
      <path className="mark-way" d="M3 21.5 29 27" />
    </svg>
  );
}
