/**
 * One setting: its name above, a line about it below, and the control between them, which both belong to.
 */
import { type ReactNode, useId } from 'react';

interface Props {
  readonly name: string;
  readonly hint: string;
  /** Gives the control these, so that it is called by its name and described by its hint. */
  readonly children: (control: { readonly id: string; readonly 'aria-describedby': string }) => ReactNode;
}

export function Setting({ name, hint, children }: Props) {
  const id = useId();
  return (
    <div className="setting">
      <label className="setting-name" htmlFor={id}>
        {name}
      </label>
      {children({ id, 'aria-describedby': `${id}-hint` })}
      <span className="setting-hint" id={`${id}-hint`}>
        {hint}
      </span>
    </div>
  );
}
