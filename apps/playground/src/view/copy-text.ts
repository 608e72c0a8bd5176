/**
 * Puts a text on the clipboard, also where the page came by plain HTTP from another machine and browsers offer the old way only.
 */

/** False when the browser does not let us. */
export async function copyText(text: string): Promise<boolean> {
  // Not there without https, whatever the types say.
  const clipboard: Clipboard | undefined = navigator.clipboard;
  if (clipboard !== undefined) {
    return clipboard.writeText(text).then(
      () => true,
      () => false,
    );
  }
  const field = document.createElement('textarea');
  field.value = text;
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  const copied = document.execCommand('copy');
  field.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return copied;
}
